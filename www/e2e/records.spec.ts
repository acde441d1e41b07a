// Records in real browsers: two people, tabs of one profile, the real hub that stops and comes back, edits offline.
import { type BrowserContext, expect, type Page, test } from "@playwright/test";
import { Hub } from "./hub.js";
import { Site } from "./site.js";

type Corella = typeof import("corella");
type Window = { repo: import("corella").Repo; socket: import("corella").WebSocketAdapter; heard: import("corella").RecordChange[] };

let hub: Hub;
let site: Site;
const problems: string[] = [];

test.beforeEach(async () => {
  hub = await Hub.start();
  site = await Site.start();
  problems.length = 0;
});
test.afterEach(async () => {
  site.stop();
  await hub.stop();
  expect(problems).toEqual([]);
});

/** A page with a repo of its profile, in `window.repo`. */
async function open(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(error.message));
  await page.goto(site.origin);
  await page.evaluate(
    async ({ entry, url }) => {
      const { Repo, IndexedDBAdapter, WebSocketAdapter, BroadcastChannelAdapter } = (await import(entry)) as Corella;
      const socket = new WebSocketAdapter({ url });
      const repo = await Repo.open({ adapters: [new IndexedDBAdapter(), new BroadcastChannelAdapter(), socket] });
      const heard: Window["heard"] = [];
      repo.collection("facts", { kind: "shared" }).subscribe((changes) => heard.push(...changes));
      Object.assign(window, { repo, socket, heard });
    },
    { entry: `${site.origin}/pkg/index.js`, url: `ws://127.0.0.1:${hub.port}/ws` },
  );
  return page;
}

const device = (page: Page) => page.evaluate(() => (window as unknown as Window).repo.device);

/** Calls a method of a collection. */
function call(page: Page, kind: "owned" | "shared", method: "put" | "update" | "delete" | "get" | "insert", ...args: unknown[]): Promise<unknown> {
  return page.evaluate(
    ({ kind, method, args }) => {
      const { repo } = window as unknown as Window;
      const collection = kind === "owned" ? repo.collection("mine", { kind: "owned" }) : repo.collection("facts", { kind: "shared" });
      return (collection as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>)[method]?.(...args);
    },
    { kind, method, args },
  );
}

/** What a page has, in a form that can be compared. */
function all(page: Page): Promise<string> {
  return page.evaluate(async () => {
    const { repo } = window as unknown as Window;
    const [shared, owned] = [await repo.collection("facts", { kind: "shared" }).entries(), await repo.collection("mine", { kind: "owned" }).entries()];
    const sorted = (value: unknown) => (typeof value === "object" && value !== null ? Object.fromEntries(Object.entries(value).sort()) : value);
    return JSON.stringify([...shared, ...owned].map((entry) => ({ ...entry, value: sorted(entry.value) })));
  });
}

async function same(pages: Page[], expected?: (text: string) => boolean): Promise<void> {
  await expect
    .poll(async () => {
      const texts = await Promise.all(pages.map(all));
      return new Set(texts).size === 1 && (expected?.(texts[0] ?? "") ?? true) ? "the same" : texts.join("\n");
    })
    .toBe("the same");
}

const switchHub = (page: Page, on: boolean) =>
  page.evaluate((on) => (on ? (window as unknown as Window).socket.connect() : (window as unknown as Window).socket.disconnect()), on);
const durable = (page: Page, level: string) =>
  page.evaluate(
    (level) => (window as unknown as Window).repo.collection("facts", { kind: "shared" }).whenDurable(level as "disk", { timeout: 20_000 }),
    level,
  );

test("two profiles and two tabs share records; all tabs of a profile are one device", async ({ browser }) => {
  const [ada, bob] = [await browser.newContext(), await browser.newContext()];
  const [first, second, other] = [await open(ada), await open(ada), await open(bob)];
  const devices = await Promise.all([first, second, other].map(device));
  expect(devices[0]).toBe(devices[1]);
  expect(devices[2]).not.toBe(devices[0]);

  await call(first, "shared", "insert", "a", { title: "A", n: 1 });
  await call(first, "owned", "put", "tab", "first");
  await call(other, "owned", "put", "tab", "other");
  await same([first, second, other], (text) => text.includes('"first"') && text.includes('"other"') && text.includes('"A"'));
  // Both tabs, and the other one, write the same record at once: by field, the same everywhere.
  await Promise.all([
    call(first, "shared", "update", "a", { first: 1, n: 2 }),
    call(second, "shared", "update", "a", { second: 1, n: 3 }),
    call(other, "shared", "update", "a", { other: 1, n: 4 }),
    call(first, "owned", "put", "same", "first"),
    call(second, "owned", "put", "same", "second"),
  ]);
  await same([first, second, other], (text) => ['"first":1', '"second":1', '"other":1'].every((part) => text.includes(part)));
  expect(await call(other, "owned", "get", "same", { owner: devices[0] })).toBe(await call(second, "owned", "get", "same"));
  const heard = await other.evaluate(() => (window as unknown as Window).heard.filter(({ local }) => !local).map(({ key }) => key));
  expect(new Set(heard)).toEqual(new Set(["a"]));
  await call(other, "shared", "delete", "a");
  await same([first, second, other], (text) => !text.includes('"A"'));
});

test("tabs share records without a hub, and a profile has them again after a restart", async ({ browser }) => {
  const context = await browser.newContext();
  const [first, second] = [await open(context), await open(context)];
  await Promise.all([first, second].map((page) => switchHub(page, false)));
  const before = await device(first);
  await call(first, "shared", "put", "a", { title: "A" });
  await call(second, "owned", "put", "b", { bytes: null });
  await same([first, second], (text) => text.includes('"A"') && text.includes('"b"'));
  const expected = await all(first);
  await durable(first, "disk");
  await durable(second, "disk");
  await Promise.all([first, second].map((page) => page.close()));
  const again = await open(context);
  await switchHub(again, false);
  expect(await all(again)).toBe(expected);
  expect(await device(again)).toBe(before);
});

test("what was written offline reaches everybody; a hub that is killed has what it said it has", async ({ browser }) => {
  const [ada, bob] = [await browser.newContext(), await browser.newContext()];
  const [a, b] = [await open(ada), await open(bob)];
  await call(a, "shared", "put", "a", { title: "A", n: 0 });
  await durable(a, "hub-disk");
  await same([a, b], (text) => text.includes('"A"'));
  await hub.kill();
  await call(a, "shared", "update", "a", { n: 1 });
  await call(b, "shared", "update", "a", { title: "B" });
  await call(b, "shared", "put", "b", "offline");
  await call(a, "owned", "put", "offline", true);
  expect(await a.evaluate(() => (window as unknown as Window).repo.unsynced)).toBe(2);
  // One of them restarts meanwhile, without a hub.
  await durable(b, "disk");
  await b.close();
  const c = await open(bob);
  await hub.start();
  await same([a, c], (text) => text.includes('"n":1,"title":"B"') && text.includes('"offline"'));
  await durable(a, "hub-disk");
  await durable(c, "hub-disk");
  expect(await a.evaluate(() => (window as unknown as Window).repo.unsynced)).toBe(0);
  await hub.kill();
  await hub.start();
  const late = await open(await browser.newContext());
  await same([a, c, late], (text) => text.includes('"n":1,"title":"B"'));
});

test("ten thousand records are there again at the next start, and reach a fresh profile", async ({ browser }) => {
  const context = await browser.newContext();
  const page = await open(context);
  await page.evaluate(async () => {
    const shared = (window as unknown as Window).repo.collection("facts", { kind: "shared" });
    await Promise.all(Array.from({ length: 10_000 }, (_, at) => shared.put(`record/${at}`, { title: `Title ${at}`, at, done: false })));
    await shared.whenDurable("hub-disk", { timeout: 120_000 });
  });
  await page.close();
  const again = await open(context);
  await switchHub(again, false);
  const [count, ms] = await again.evaluate(async () => {
    const shared = (window as unknown as Window).repo.collection("facts", { kind: "shared" });
    const begin = performance.now();
    const entries = await shared.entries();
    return [entries.length, performance.now() - begin];
  });
  expect(count).toBe(10_000);
  test.info().annotations.push({ type: "listing 10,000 records again", description: `${Math.round(ms)} ms` });
  const fresh = await open(await browser.newContext());
  await expect.poll(() => fresh.evaluate(async () => (await (window as unknown as Window).repo.collection("facts", { kind: "shared" }).entries()).length)).toBe(10_000);
});
