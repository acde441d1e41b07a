// What storage promises when the ground is taken from under it: browsers killed while typing, renderers crashed, quotas reached and freed.
// CORELLA_SOAK makes the killing long.
import { type ChildProcess, spawn } from "node:child_process";
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, resolve } from "node:path";
import { type Browser, chromium, expect, type Page, test } from "@playwright/test";

const root = resolve(import.meta.dirname, "../..");
const types: Record<string, string> = { ".js": "text/javascript", ".wasm": "application/wasm" };
const soak = process.env.CORELLA_SOAK !== undefined;
const CRASHES = soak ? 200 : 20;
const KILLS = soak ? 100 : 3;

type Corella = typeof import("corella");
type Repo = import("corella").Repo;
interface Room extends Window {
  repo: Repo;
  corella: Corella;
  said(token: string): void;
}

let server: Server;
let origin: string;

test.beforeAll(async () => {
  server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    if (path === "/") return void response.setHeader("content-type", "text/html").end("<!doctype html><title>storage</title>");
    const file = join(root, path);
    if (!path.startsWith("/pkg/") || !existsSync(file)) return void response.writeHead(404).end();
    response.setHeader("content-type", types[extname(file)] ?? "application/octet-stream");
    createReadStream(file).pipe(response);
  }).listen(0, "127.0.0.1");
  await new Promise((listening) => server.once("listening", listening));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
test.afterAll(() => void server.close());

async function open(page: Page, options = "{}"): Promise<void> {
  await page.goto(origin);
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
  const ended = new Promise((resolve) => child.once("exit", resolve));
  process.kill(-(child.pid ?? 0), "SIGKILL");
  await ended;
}

test("a browser killed while typing has everything that was said to be on disk", async () => {
  test.setTimeout(soak ? 3_600_000 : 240_000);
  const profile = mkdtempSync(join(tmpdir(), "corella-kill-"));
  const said: string[] = [];
  for (let round = 0; round <= KILLS; round += 1) {
    const { browser, child } = await start(profile);
    try {
      const page = await browser.contexts()[0].newPage();
      await page.exposeFunction("said", (token: string) => void said.push(token));
      const text = await stored(page);
      for (const token of said) expect(text, `${token} of ${said.length}`).toContain(token);
      if (round === KILLS) break;
      const before = said.length;
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
  await context.exposeFunction("said", (token: string) => void said.push(token));
  for (let round = 0; round < CRASHES; round += 1) {
    const page = await context.newPage();
    const text = await stored(page);
    for (const token of said) expect(text).toContain(token);
    const before = said.length;
    await page.evaluate(typing, `c${round}`);
    await expect.poll(() => said.length - before, { timeout: 60_000 }).toBeGreaterThan(5);
    const crashed = page.waitForEvent("crash");
    const session = await context.newCDPSession(page);
    session.send("Page.crash").catch(() => {});
    await crashed;
    await page.close();
  }
  const text = await stored(await context.newPage());
  for (const token of said) expect(text).toContain(token);
});

test("a full quota is told, keeps edits in memory, and what is freed is used", async ({ context, page }) => {
  const session = await context.newCDPSession(page);
  // Before the database is opened: Chromium remembers for a while how much room there was.
  await page.goto(origin);
  await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 2_000_000 });
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
  await session.send("Storage.overrideQuotaForOrigin", { origin });
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
  await page.goto(origin);
  await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 2_000_000 });
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
  await session.send("Storage.overrideQuotaForOrigin", { origin });
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
  const edits = soak ? 2_000 : 400;
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
