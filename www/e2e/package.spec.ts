// The package as it is shipped: from a static server, without a bundler, in a window and in a dedicated worker.
import { createReadStream, existsSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, resolve } from "node:path";
import { expect, type Page, test } from "@playwright/test";
import { Hub } from "./hub.js";

const root = resolve(import.meta.dirname, "../..");
const types: Record<string, string> = { ".js": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };

let hub: Hub;
let server: Server;
let origin: string;

test.beforeEach(async () => {
  hub = await Hub.start();
  server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    if (path === "/") return void response.setHeader("content-type", "text/html").end("<!doctype html><title>static</title>");
    if (path === "/worker.js") {
      response.setHeader("content-type", "text/javascript");
      return void response.end(`onmessage = async ({ data }) => {
        try { postMessage(await (${work.toString()})(data)); } catch (error) { postMessage(String(error)); }
      };`);
    }
    const file = join(root, path);
    if (!path.startsWith("/pkg/") || !existsSync(file)) return void response.writeHead(404).end();
    response.setHeader("content-type", types[extname(file)] ?? "application/octet-stream");
    createReadStream(file).pipe(response);
  }).listen(0, "127.0.0.1");
  await new Promise((listening) => server.once("listening", listening));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
test.afterEach(async () => {
  server.close();
  await hub.stop();
});

interface Task {
  entry: string;
  url: string;
  word: string;
  expected: string[];
}

/** Runs in the page or the worker: writes a word, and waits until it and everybody else's are there, here and at the hub. */
async function work({ entry, url, word, expected }: Task): Promise<string> {
  const { Repo, IndexedDBAdapter, WebSocketAdapter, BroadcastChannelAdapter } = (await import(entry)) as typeof import("corella");
  const database = `package ${word}`;
  const adapters = [new IndexedDBAdapter({ database }), new BroadcastChannelAdapter(), new WebSocketAdapter({ url: async () => url })];
  const repo = await Repo.open({ identity: { name: word }, adapters });
  const handle = repo.get("words");
  handle.change((doc) => doc.getMap("words").set(word, true));
  await handle.waitForSync({ kind: "storage" });
  await handle.waitForSync();
  while (!expected.every((other) => handle.doc.getMap("words").get(other))) await new Promise((resolve) => setTimeout(resolve, 10));
  await repo.close();

  const again = await Repo.open({ adapters: [new IndexedDBAdapter({ database })] });
  const stored = again.get("words");
  const until = Date.now() + 5000;
  while (!expected.every((other) => stored.doc.getMap("words").get(other)) && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 10));
  const words = Object.keys(stored.doc.getMap("words").toJSON()).sort().join();
  await again.close();
  return words;
}

const inWindow = (page: Page, task: Task) => page.evaluate(work, task);
const inWorker = (page: Page, task: Task) =>
  page.evaluate(
    (task) =>
      new Promise<string>((resolve) => {
        const worker = new Worker("/worker.js", { type: "module" });
        worker.onmessage = ({ data }) => resolve(data as string);
        worker.onerror = (event) => resolve(event.message);
        worker.postMessage(task);
      }),
    task,
  );

test("a window and a dedicated worker share a document through the hub and find it again in storage", async ({ browser }) => {
  const task = (word: string): Task => ({
    entry: `${origin}/pkg/index.js`,
    url: `${hub.url.replace("http", "ws")}ws`,
    word,
    expected: ["window", "worker"],
  });
  const [a, b] = [await (await browser.newContext()).newPage(), await (await browser.newContext()).newPage()];
  await Promise.all([a.goto(origin), b.goto(origin)]);
  const [first, second] = await Promise.all([inWindow(a, task("window")), inWorker(b, task("worker"))]);
  expect([first, second]).toEqual(["window,worker", "window,worker"]);
});

test("a refused socket and a missing IndexedDB are reported, and the repo goes on", async ({ page }) => {
  await page.goto(origin);
  const outcome = await page.evaluate(async (entry) => {
    Object.defineProperty(window, "indexedDB", { value: undefined });
    const { Repo, IndexedDBAdapter, WebSocketAdapter } = (await import(entry)) as typeof import("corella");
    // Nobody listens on port 1.
    const socket = new WebSocketAdapter({ url: "ws://127.0.0.1:1/ws" });
    const repo = await Repo.open({ adapters: [new IndexedDBAdapter(), socket] });
    const codes: string[] = [];
    const both = new Promise<void>((resolve) => {
      const note = (code: string) => {
        codes.push(code);
        if (new Set(codes).size === 2) resolve();
      };
      repo.on("storage-health", ({ ok, error }) => note(`${ok} ${error?.code}`));
      repo.on("error", ({ error }) => note(error.code));
    });
    const handle = repo.get("d");
    handle.change((doc) => doc.getText("t").insert(0, "still here"));
    await both;
    const flushed = await repo.flush().then(() => "flushed", (error: { code: string }) => error.code);
    const waited = await handle.waitForSync({ timeout: 50 }).then(() => "synced", (error: { code: string }) => error.code);
    return { text: handle.doc.getText("t").toString(), codes: [...new Set(codes)].sort(), flushed, waited, state: socket.state !== "closed" };
  }, `${origin}/pkg/index.js`);
  expect(outcome).toEqual({ text: "still here", codes: ["false storage", "refused"], flushed: "storage", waited: "timeout", state: true });
});

test("permission hooks get plain data, may not call the repo, and hide what they forbid", async ({ browser }) => {
  const pages = [await (await browser.newContext()).newPage(), await (await browser.newContext()).newPage()] as const;
  for (const page of pages) await page.goto(origin);
  const url = `${hub.url.replace("http", "ws")}ws`;
  const entry = `${origin}/pkg/index.js`;
  const outcome = await pages[0].evaluate(
    async ({ entry, url }) => {
      const { Repo, WebSocketAdapter } = (await import(entry)) as typeof import("corella");
      const asked: string[] = [];
      let reentrant = "";
      const repo = await Repo.open({
        adapters: [new WebSocketAdapter({ url })],
        permissions: {
          visibility: (doc, peer) => {
            asked.push(`${doc.id} ${peer.kind} ${peer.type} ${Object.isFrozen(peer)}`);
            try {
              repo.list();
            } catch (error) {
              reentrant = (error as { code: string }).code;
            }
            return !doc.id.startsWith("private");
          },
        },
      });
      repo.get("private").change((doc) => doc.getText("t").insert(0, "mine"));
      const open = repo.get("open");
      open.change((doc) => doc.getText("t").insert(0, "ours"));
      await open.waitForSync();
      return { reentrant, asked: [...new Set(asked)].sort() };
    },
    { entry, url },
  );
  expect(outcome).toEqual({ reentrant: "reentrant", asked: ["open network service true", "private network service true"] });
  const seen = await pages[1].evaluate(
    async ({ entry, url }) => {
      const { Repo, WebSocketAdapter } = (await import(entry)) as typeof import("corella");
      const repo = await Repo.open({ adapters: [new WebSocketAdapter({ url })] });
      const texts: Record<string, string> = {};
      for (const id of ["private", "open"]) {
        const handle = repo.get(id);
        await handle.waitForSync();
        texts[id] = handle.doc.getText("t").toString();
      }
      return texts;
    },
    { entry, url },
  );
  expect(seen).toEqual({ private: "", open: "ours" });
});

test("who closes its page is gone at once for the others", async ({ browser }) => {
  const url = `${hub.url.replace("http", "ws")}ws`;
  const open = async (name: string) => {
    const page = await (await browser.newContext()).newPage();
    await page.goto(origin);
    await page.evaluate(
      async ({ entry, url, name }) => {
        const { Repo, WebSocketAdapter } = (await import(entry)) as typeof import("corella");
        const repo = await Repo.open({ identity: { name }, adapters: [new WebSocketAdapter({ url })] });
        const store = repo.get("d").ephemeral("presence");
        store.setSelf(name);
        Object.assign(window, { here: () => [...store.peers.values()].sort().join() });
      },
      { entry: `${origin}/pkg/index.js`, url, name },
    );
    return page;
  };
  const here = (page: Page) => page.evaluate(() => (window as unknown as { here(): string }).here());
  const [a, b, c] = [await open("a"), await open("b"), await open("c")];
  const others = ["b,c", "b"];
  await expect.poll(() => here(a)).toBe(others[0]);
  await c.context().close();
  // An entry that is not renewed would stay for half a minute.
  await expect.poll(() => here(a), { intervals: [20], timeout: 1000 }).toBe(others[1]);
  await Promise.all([a, b].map((page) => page.context().close()));
});
