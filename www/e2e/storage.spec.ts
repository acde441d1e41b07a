// What storage promises when the ground is taken from under it: browsers killed while typing, renderers crashed, quotas reached and freed.
// CORELLA_SOAK makes the killing long.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium, expect, type Page, test } from "@playwright/test";
import { Site } from "./site.js";

const soak = process.env.CORELLA_SOAK !== undefined;
const CRASHES = soak ? 200 : 20;
const KILLS = soak ? 100 : 5;

type Corella = typeof import("corella");
type Repo = import("corella").Repo;
interface Room extends Window {
  repo: Repo;
  corella: Corella;
  said(token: string): void;
}

let site: Site;

test.beforeAll(async () => void (site = await Site.start()));
test.afterAll(() => site.stop());

async function open(page: Page, options = "{}"): Promise<void> {
  await page.goto(site.origin);
  await page.evaluate(async (options) => {
    const corella = (await import("/pkg/index.js" as string)) as Corella;
    const room = window as unknown as Room;
    room.corella = corella;
    room.repo = await corella.Repo.open({ ...JSON.parse(options), adapters: [new corella.IndexedDBAdapter()] });
  }, options);
}

/** Types tokens one after the other, and says each when it is on disk. */
function typing(prefix: string): void {
  const room = window as unknown as Room;
  const handle = room.repo.get("typed");
  let number = 0;
  const type = async () => {
    await handle.waitForSync({ kind: "storage" });
    for (;;) {
      const token = `${prefix}.${(number += 1)};`;
      handle.change((doc) => doc.getText("text").insert(doc.getText("text").length, token));
      if (number % 3 === 0) {
        await handle.whenDurable("disk");
        room.said(token);
        // What was said must need nothing more of this page: now and then it does nothing more.
        if (number % 2 === 0) for (const end = performance.now() + 25; performance.now() < end; );
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  void type();
}

/** Reads what storage has. */
async function stored(page: Page): Promise<string> {
  await open(page);
  return page.evaluate(async () => {
    const handle = (window as unknown as Room).repo.get("typed");
    await handle.waitForSync({ kind: "storage" });
    return handle.doc.getText("text").toString();
  });
}

/** A browser on a profile of its own, in a process group that can be killed as a whole. */
async function start(profile: string): Promise<{ browser: Browser; child: ChildProcess }> {
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"];
  rmSync(join(profile, "DevToolsActivePort"), { force: true });
  const child = spawn(
    process.env.CHROMIUM ?? "/usr/bin/chromium",
    [...flags, "--disable-component-update", "--disable-sync", "--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank"],
    { detached: true, stdio: "ignore" },
  );
  const port = join(profile, "DevToolsActivePort");
  await expect.poll(() => existsSync(port) && readFileSync(port, "utf8").includes("\n"), { timeout: 60_000 }).toBe(true);
  const browser = await chromium.connectOverCDP(`http://127.0.0.1:${readFileSync(port, "utf8").split("\n")[0]}`);
  return { browser, child };
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  process.kill(-(child.pid ?? 0), "SIGKILL");
  await ended;
}

/** All at once: one assertion for each of thousands, again after each round, takes longer than the rounds. */
const missing = (said: string[], text: string) => said.filter((token) => !text.includes(token));

test("a browser killed while typing has everything that was said to be on disk", async () => {
  test.setTimeout(soak ? 3_600_000 : 240_000);
  const profile = mkdtempSync(join(tmpdir(), "corella-kill-"));
  const said: string[] = [];
  for (let round = 0; round <= KILLS; round += 1) {
    const { browser, child } = await start(profile);
    try {
      const page = await browser.contexts()[0].newPage();
      const before = said.length;
      await page.exposeFunction("said", (token: string) => {
        said.push(token);
        // Every other time in the instant in which something is said to be on disk.
        if (round % 2 === 0 && said.length - before > 5) void killed(child);
      });
      const text = await stored(page);
      expect(missing(said, text), `of ${said.length}`).toEqual([]);
      if (round === KILLS) break;
      await page.evaluate(typing, `r${round}`);
      await expect.poll(() => said.length - before, { timeout: 60_000 }).toBeGreaterThan(5);
      await new Promise((resolve) => setTimeout(resolve, (round * 389) % 700));
    } finally {
      await killed(child);
      await browser.close().catch(() => {});
    }
  }
  rmSync(profile, { recursive: true, force: true });
});

test("a tab that crashes while typing has everything that was said to be on disk", async ({ context }) => {
  test.setTimeout(soak ? 3_600_000 : 240_000);
  const said: string[] = [];
  let crash = () => {};
  await context.exposeFunction("said", (token: string) => {
    said.push(token);
    crash();
  });
  for (let round = 0; round < CRASHES; round += 1) {
    const page = await context.newPage();
    const text = await stored(page);
    expect(missing(said, text)).toEqual([]);
    const before = said.length;
    const crashed = page.waitForEvent("crash");
    const session = await context.newCDPSession(page);
    const crashes = () => void session.send("Page.crash").catch(() => {});
    // Every other time in the instant in which something is said to be on disk.
    crash = () => void (round % 2 === 0 && said.length - before > 5 && crashes());
    await page.evaluate(typing, `c${round}`);
    await expect.poll(() => said.length - before, { timeout: 60_000 }).toBeGreaterThan(5);
    crashes();
    await crashed;
    await page.close();
  }
  const text = await stored(await context.newPage());
  expect(missing(said, text)).toEqual([]);
});

test("what was typed in the task that reloads the page is there after it", async ({ page }) => {
  await open(page);
  for (let round = 0; round < (soak ? 200 : 20); round += 1) {
    const loaded = page.waitForEvent("load");
    const typed = page.evaluate(async (round) => {
      const { repo } = window as unknown as Room;
      const handle = repo.get("typed");
      const type = (text: string) => handle.change((doc) => doc.getText("text").insert(doc.getText("text").length, text));
      // While nothing is under way, while the first is being written, and while that is brought to the disk.
      if (round % 4 !== 3) await handle.waitForSync({ kind: "storage" });
      type(`${round}a`);
      if (round % 4 === 1) await new Promise((resolve) => setTimeout(resolve));
      if (round % 4 === 2) void repo.flush();
      for (let i = 0; i < 20; i += 1) type(".");
      repo.get(`other-${round}`).change((doc) => doc.getMap("map").set("round", round));
      type(`${round}z;`);
      location.reload();
    }, round);
    // The answer goes with the page, or comes before it.
    await Promise.all([loaded, typed.catch(() => {})]);
    await open(page);
    const found = await page.evaluate(async (round) => {
      const { repo } = window as unknown as Room;
      const [handle, other] = [repo.get("typed"), repo.get(`other-${round}`)];
      await Promise.all([handle, other].map((each) => each.waitForSync({ kind: "storage" })));
      return [handle.doc.getText("text").toString(), other.doc.getMap("map").get("round")];
    }, round);
    const expected = `${round}a${".".repeat(20)}${round}z;`;
    expect(found[0], `round ${round}`).toContain(expected);
    expect(found[1], `round ${round}`).toBe(round);
  }
});

test("a document that another tab deleted does not come back by what was typed when a page was left", async ({ context, page }) => {
  await open(page);
  await page.evaluate(async () => {
    const { repo } = window as unknown as Room;
    for (const id of ["deleted", "kept"]) repo.get(id).change((doc) => doc.getText("text").insert(0, "stored"));
    await repo.flush();
  });
  const other = await context.newPage();
  await open(other);
  const left = page.waitForEvent("load");
  const typed = page.evaluate(() => {
    const { repo } = window as unknown as Room;
    for (const id of ["deleted", "kept"]) repo.get(id).change((doc) => doc.getText("text").insert(0, "typed and "));
    location.reload();
  });
  await Promise.all([left, typed.catch(() => {})]);
  await other.evaluate(async () => {
    const { repo } = window as unknown as Room;
    await repo.delete("deleted");
  });
  await open(page);
  const found = await page.evaluate(async () => {
    const { repo } = window as unknown as Room;
    const handle = repo.get("kept");
    await handle.waitForSync({ kind: "storage" });
    const database = await new Promise<IDBDatabase>((resolve) => {
      const request = indexedDB.open("corella");
      request.onsuccess = () => resolve(request.result);
    });
    const keys = await new Promise<IDBValidKey[]>((resolve) => {
      const request = database.transaction("meta").objectStore("meta").getAllKeys();
      request.onsuccess = () => resolve(request.result);
    });
    database.close();
    const aside = keys.filter((key) => String(key).startsWith("aside"));
    return { listed: repo.list().map((info) => info.docId), text: handle.doc.getText("text").toString(), aside };
  });
  expect(found).toEqual({ listed: ["kept"], text: "typed and stored", aside: [] });
});

test("a full quota is told, keeps edits in memory, and what is freed is used", async ({ context, page }) => {
  const session = await context.newCDPSession(page);
  // Before the database is opened: Chromium remembers for a while how much room there was.
  await page.goto(site.origin);
  await session.send("Storage.overrideQuotaForOrigin", { origin: site.origin, quotaSize: 2_000_000 });
  await open(page);
  await page.evaluate(async () => {
    const { repo } = window as unknown as Room;
    repo.get("d").change((doc) => doc.getText("text").insert(0, "before"));
    await repo.flush();
  });
  const full = await page.evaluate(async () => {
    const { repo } = window as unknown as Room;
    const told: string[] = [];
    repo.on("storage-health", ({ problem }) => problem && told.push(problem));
    const bytes = new Uint8Array(4_000_000).map(() => Math.random() * 256);
    repo.get("d").change((doc) => doc.getMap("map").set("large", bytes));
    const refused = await repo.flush().then(
      () => "flushed",
      (error: { code: string }) => error.code,
    );
    const { state, problem } = repo.storageHealth;
    // An edit never fails because of storage.
    repo.get("d").change((doc) => doc.getText("text").insert(0, "while full, "));
    return { refused, told: told.includes("quota"), state, problem, durability: repo.get("d").durability };
  });
  expect(full).toEqual({ refused: "storage", told: true, state: "failing", problem: "quota", durability: "memory" });
  await expect.poll(() => page.evaluate(() => (window as unknown as Room).repo.storageHealth.quota ?? 0)).toBeGreaterThan(0);
  await session.send("Storage.overrideQuotaForOrigin", { origin: site.origin });
  await page.evaluate(() => (window as unknown as Room).repo.get("d").whenDurable("disk", { timeout: 60_000 }));
  expect(await page.evaluate(() => (window as unknown as Room).repo.storageHealth.state)).toBe("working");
  const again = await context.newPage();
  await open(again);
  const read = await again.evaluate(async () => {
    const handle = (window as unknown as Room).repo.get("d");
    await handle.waitForSync({ kind: "storage" });
    return [handle.doc.getText("text").toString(), (handle.doc.getMap("map").get("large") as Uint8Array).length];
  });
  expect(read).toEqual(["while full, before", 4_000_000]);
});

test("records beyond a full quota stay in memory, are told of, and are on disk when there is room again", async ({ context, page }) => {
  const session = await context.newCDPSession(page);
  await page.goto(site.origin);
  await session.send("Storage.overrideQuotaForOrigin", { origin: site.origin, quotaSize: 2_000_000 });
  await open(page);
  const full = await page.evaluate(async () => {
    const { repo } = window as unknown as Room;
    const told: string[] = [];
    repo.on("storage-health", ({ problem }) => problem && told.push(problem));
    const facts = repo.collection("facts", { kind: "shared" });
    await facts.put("kept", { n: 1 });
    await facts.put("deleted", "before");
    await facts.whenDurable("disk", { timeout: 20_000 });
    for (let at = 0; at < 20; at += 1) await facts.put(`large/${at}`, new Uint8Array(200_000).map(() => Math.random() * 256));
    const refused = await repo.flush().then(
      () => "flushed",
      (error: { code: string }) => error.code,
    );
    const { state, problem } = repo.storageHealth;
    // Writing never fails because of storage.
    await facts.update("kept", { n: 2 });
    await facts.put("small", "while full");
    await facts.delete("deleted");
    const durable = await facts.whenDurable("disk", { timeout: 300 }).then(
      () => "durable",
      (error: { code: string }) => error.code,
    );
    const there = [await facts.get("kept"), await facts.get("small"), await facts.get("deleted"), (await facts.keys({ prefix: "large/" })).length];
    return { refused, told: told.includes("quota"), state, problem, durable, durability: await facts.durability(), there };
  });
  const there = [{ n: 2 }, "while full", undefined, 20];
  expect(full).toEqual({ refused: "storage", told: true, state: "failing", problem: "quota", durable: "timeout", durability: "memory", there });
  // What was on disk before is there still.
  const other = await context.newPage();
  await open(other);
  expect(await other.evaluate(() => (window as unknown as Room).repo.collection("facts", { kind: "shared" }).get("deleted"))).toBe("before");
  await other.close();
  await session.send("Storage.overrideQuotaForOrigin", { origin: site.origin });
  await page.evaluate(() => (window as unknown as Room).repo.collection("facts", { kind: "shared" }).whenDurable("disk", { timeout: 60_000 }));
  expect(await page.evaluate(() => (window as unknown as Room).repo.storageHealth.state)).toBe("working");
  await open(page);
  const read = await page.evaluate(async () => {
    const facts = (window as unknown as Room).repo.collection("facts", { kind: "shared" });
    const large = await facts.entries({ prefix: "large/" });
    const whole = large.filter(({ value }) => (value as Uint8Array).length === 200_000);
    return [await facts.get("kept"), await facts.get("small"), await facts.get("deleted"), whole.length];
  });
  expect(read).toEqual(there);
});

test("two tabs that type into one document at once lose nothing, and few records remain", async ({ context }) => {
  const tabs = [await context.newPage(), await context.newPage()];
  for (const tab of tabs) await open(tab);
  const edits = 2_000;
  await Promise.all(
    tabs.map((tab, number) =>
      tab.evaluate(
        async ({ number, edits }) => {
          const { repo } = window as unknown as Room;
          const handle = repo.get("shared");
          for (let i = 0; i < edits; i += 1) {
            handle.change((doc) => doc.getText("text").insert(0, `${number}.${i};`));
            await new Promise((resolve) => setTimeout(resolve, 2));
          }
          await repo.flush();
        },
        { number, edits },
      ),
    ),
  );
  const again = await context.newPage();
  await open(again);
  const { text, records } = await again.evaluate(async () => {
    const handle = (window as unknown as Room).repo.get("shared");
    await handle.waitForSync({ kind: "storage" });
    const database = await new Promise<IDBDatabase>((resolve) => {
      const request = indexedDB.open("corella");
      request.onsuccess = () => resolve(request.result);
    });
    const records = await new Promise<number>((resolve) => {
      const request = database.transaction("records").objectStore("records").count();
      request.onsuccess = () => resolve(request.result);
    });
    database.close();
    return { text: handle.doc.getText("text").toString(), records };
  });
  const found = text.split(";").slice(0, -1);
  expect(found.length).toBe(2 * edits);
  expect(new Set(found).size).toBe(2 * edits);
  expect(records).toBeLessThanOrEqual(64);
});

test("thousands of stored documents with few open need the memory of few", async ({ page }) => {
  await open(page, JSON.stringify({ memory: { documents: 20 } }));
  const result = await page.evaluate(async () => {
    const { repo } = window as unknown as Room;
    for (let i = 0; i < 3_000; i += 1) {
      const handle = repo.get(`doc-${i}`);
      handle.change((doc) => doc.getText("text").insert(0, `document ${i}`));
      if (i >= 10) handle.close();
      if (i % 100 === 0) await new Promise((resolve) => setTimeout(resolve));
    }
    await repo.flush();
    const loaded = () => repo.list().filter((info) => info.loaded).length;
    while (loaded() > 30) await new Promise((resolve) => setTimeout(resolve, 50));
    const handle = repo.get("doc-2999");
    await handle.waitForSync({ kind: "storage" });
    return { known: repo.list().length, open: repo.list().filter((info) => info.open).length, text: handle.doc.getText("text").toString() };
  });
  expect(result).toEqual({ known: 3_000, open: 11, text: "document 2999" });
});

test("ten thousand times a document of a repo opened, edited and closed leave the module's memory at a plateau", async ({ page }) => {
  test.setTimeout(240_000);
  await open(page, JSON.stringify({ memory: { documents: 50 } }));
  const session = await page.context().newCDPSession(page);
  await page.exposeFunction("collect", () => session.send("HeapProfiler.collectGarbage"));
  const sizes = await page.evaluate(async () => {
    const { repo } = window as unknown as Room;
    const glue = await import("/pkg/corella.js" as string);
    const { memory } = (await glue.default()) as { memory: WebAssembly.Memory };
    const sizes: number[] = [];
    for (let i = 0; i < 10_000; i += 1) {
      const handle = repo.get(`doc-${i % 2_500}`);
      await handle.waitForSync({ kind: "storage" });
      handle.change((doc) => doc.getText("text").insert(0, `${i} `));
      handle.close();
      // What a page no longer reaches goes when it is collected and its finalizers have run: until then it keeps its memory.
      if (i % 250 === 249) {
        await (window as unknown as { collect(): Promise<void> }).collect();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      if (i % 2_500 === 2_499) {
        await repo.flush();
        while (repo.list().filter((info) => info.loaded).length > 60) await new Promise((resolve) => setTimeout(resolve, 50));
        sizes.push(memory.buffer.byteLength);
      }
    }
    return sizes;
  });
  expect(sizes[3], sizes.map((size) => `${Math.round(size / 1024)} KiB`).join(", ")).toBeLessThanOrEqual(sizes[2] * 1.1);
});
