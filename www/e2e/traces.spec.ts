// Real editing histories through the built page's package, real Chromium and the real hub.
import { type BrowserContext, expect, type Page, test } from "@playwright/test";
import type * as Corella from "corella";
import { Hub } from "./hub.js";
import { friendsforever, sequential, type Trace } from "./trace.js";

type Package = typeof Corella;
declare global {
  interface Window {
    corella: Package;
    run: { repo: Corella.Repo; handle: Corella.DocHandle; socket?: Corella.WebSocketAdapter; errors: string[] };
  }
}

let hub: Hub;
test.beforeEach(async () => {
  hub = await Hub.start();
});
test.afterEach(async () => {
  await hub.stop();
});

/** Opens the page without its own hub connection; the package is taken from it. */
async function visit(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${hub.url}?alone`);
  await ready(page);
  await page.waitForFunction(async () => {
    await navigator.serviceWorker.ready;
    return (await caches.match("./")) !== undefined;
  });
  return page;
}

const ready = (page: Page) => page.waitForFunction(() => window.corella !== undefined);

/** Opens a repo of the test's own, with or without a network. */
async function open(page: Page, network: boolean): Promise<void> {
  await page.evaluate(async (network) => {
    const { Repo, IndexedDBAdapter, BroadcastChannelAdapter, WebSocketAdapter } = window.corella;
    const socket = network ? new WebSocketAdapter({ url: `ws://${location.host}/ws` }) : undefined;
    const adapters = [new IndexedDBAdapter({ database: "trace" }), new BroadcastChannelAdapter({ name: "trace" }), ...(socket ? [socket] : [])];
    const repo = await Repo.open({ adapters });
    window.run = { repo, handle: repo.get("trace"), errors: [], ...(socket ? { socket } : {}) };
    repo.on("error", ({ error }) => {
      if (error.code !== "refused") window.run.errors.push(error.message);
    });
  }, network);
}

const content = (page: Page) => page.evaluate(() => window.run.handle.doc.getText("text").toString());
const expectContent = (page: Page, expected: string) =>
  expect.poll(async () => (await content(page)) === expected, { timeout: 60_000, intervals: [50, 200, 500] }).toBe(true);

/** Types one author's transactions into a private document held at each transaction's parents. */
const author = (page: Page, trace: Trace, agent: number) =>
  page.evaluate(
    async ({ txns, agent }) => {
      const { LoroDoc } = window.corella;
      const { handle } = window.run;
      const peer = (agent: number) => `${1000 + agent}` as const;
      const other = 1 - agent;
      const typed = new LoroDoc();
      typed.setPeerId(peer(agent));
      const text = typed.getText("text");
      // How many operations of each author a transaction comes after, and how many there are after it.
      const after: [number, number][] = [];
      let given = typed.version();
      let unsent = 0;
      let taken = 0;
      const task = () => new Promise((resolve) => setTimeout(resolve, 0));
      const hand = async () => {
        if (unsent === 0) return;
        handle.doc.import(typed.export({ mode: "update", from: given }));
        given = typed.version();
        unsent = 0;
        await task();
      };
      let ends: [number, number] = [0, 0];
      for (const txn of txns) {
        const before: [number, number] = [0, 0];
        for (const parent of txn.parents) {
          const version = after[parent] as [number, number];
          for (const author of [0, 1] as const) before[author] = Math.max(before[author], version[author]);
        }
        const length = txn.patches.reduce((sum, [, remove, insert]) => sum + remove + insert.length, 0);
        ends = [...ends];
        ends[txn.agent as 0 | 1] += length;
        const end: [number, number] = [...before];
        end[txn.agent as 0 | 1] = ends[txn.agent as 0 | 1];
        after.push(end);
        if (txn.agent !== agent) continue;
        const needed = before[other as 0 | 1];
        if (needed > taken) {
          await hand();
          // What the other typed has to come through the hub.
          while ((handle.doc.oplogVersion().get(peer(other)) ?? 0) < needed) await task();
          const spans = [{ id: { peer: peer(other), counter: taken }, len: needed - taken }];
          typed.import(handle.doc.export({ mode: "updates-in-range", spans }));
          given = typed.version();
          taken = needed;
        }
        for (const [at, remove, insert] of txn.patches) {
          if (remove) text.delete(at, remove);
          if (insert) text.insert(at, insert);
        }
        typed.commit();
        if (++unsent >= 25) await hand();
      }
      await hand();
    },
    { txns: trace.txns, agent },
  );

test("two authors' history replayed through the hub ends the same everywhere, late, in a tab and after reloads", async ({ browser }) => {
  const trace = friendsforever();
  const contexts = [await browser.newContext(), await browser.newContext()] as const;
  const [a, b] = [await visit(contexts[0]), await visit(contexts[1])];
  for (const page of [a, b]) await open(page, true);
  const started = Date.now();
  await Promise.all([author(a, trace, 0), author(b, trace, 1)]);
  for (const page of [a, b]) await expectContent(page, trace.endContent);
  console.log(`${trace.txns.length} transactions of two authors in ${((Date.now() - started) / 1000).toFixed(1)} s`);

  const late = await visit(await browser.newContext());
  await open(late, true);
  const tab = await visit(contexts[0]);
  await open(tab, false);
  for (const page of [late, tab]) await expectContent(page, trace.endContent);

  const pages = [a, b, late, tab];
  for (const page of pages) {
    await page.evaluate(() => window.run.repo.flush());
    expect(await page.evaluate(() => window.run.errors)).toEqual([]);
  }
  await hub.kill();
  for (const page of pages) await page.goto("about:blank");
  for (const page of pages) {
    // One at a time and alone: nobody else can have given it the content.
    await page.goto(`${hub.url}?alone`);
    await ready(page);
    await open(page, false);
    await expectContent(page, trace.endContent);
    await page.evaluate(() => window.run.repo.close());
  }
});

test("live typing survives a killed hub and a time offline, and ends the same on both sides", async ({ browser }) => {
  const trace = sequential(8000);
  const [a, b] = [await visit(await browser.newContext()), await visit(await browser.newContext())];
  for (const page of [a, b]) await open(page, true);
  await a.evaluate(() => window.run.handle.change((doc) => doc.getText("text").insert(0, "\n=== the other's part ===\n")));
  await a.evaluate(() => window.run.handle.waitForSync());
  await expectContent(b, "\n=== the other's part ===\n");

  const started = Date.now();
  const live = a.evaluate(async (txns) => {
    const { handle } = window.run;
    let until = performance.now() + 10;
    for (const { patches } of txns) {
      handle.change((doc) => {
        for (const [at, remove, insert] of patches) {
          if (remove) doc.getText("text").delete(at, remove);
          if (insert) doc.getText("text").insert(at, insert);
        }
      });
      if (performance.now() > until) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        until = performance.now() + 10;
      }
    }
  }, trace.txns);
  const other = b.evaluate(async () => {
    let typed = "";
    for (let n = 0; n < 600; n++) {
      const word = `${n} `;
      window.run.handle.change((doc) => doc.getText("text").insert(doc.getText("text").length, word));
      typed += word;
      if (n === 150) window.run.socket?.disconnect();
      if (n === 350) window.run.socket?.connect();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return typed;
  });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await hub.kill();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await hub.start();
  const [, typed] = await Promise.all([live, other]);
  for (const page of [a, b]) await expectContent(page, `${trace.endContent}\n=== the other's part ===\n${typed}`);
  console.log(`${trace.txns.length} keystrokes beside 600 words in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  for (const page of [a, b]) {
    await page.evaluate(() => window.run.handle.waitForSync({ timeout: 20_000 }));
    expect(await page.evaluate(() => window.run.errors)).toEqual([]);
  }
});
