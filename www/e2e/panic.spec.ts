// What a panic costs in a real browser with a real IndexedDB: one call. The package under test panics when told to.
import { createReadStream, existsSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, resolve } from "node:path";
import { expect, test } from "@playwright/test";

const root = resolve(import.meta.dirname, "../..");
const types: Record<string, string> = { ".js": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };

let server: Server;
let origin: string;

test.beforeEach(async () => {
  server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    if (path === "/") return void response.setHeader("content-type", "text/html").end("<!doctype html><title>static</title>");
    const file = join(root, path);
    if (!path.startsWith("/pkg-failpoints/") || !existsSync(file)) return void response.writeHead(404).end();
    response.setHeader("content-type", types[extname(file)] ?? "application/octet-stream");
    createReadStream(file).pipe(response);
  }).listen(0, "127.0.0.1");
  await new Promise((listening) => server.once("listening", listening));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
test.afterEach(() => void server.close());

test("a document the engine panicked in comes back from IndexedDB, and nothing else notices", async ({ page }) => {
  await page.goto(origin);
  const outcome = await page.evaluate(async (folder) => {
    const { Repo, IndexedDBAdapter } = (await import(`${folder}/index.js`)) as typeof import("corella");
    const { __failpoint } = await import(`${folder}/corella.js`);
    const open = () => Repo.open({ adapters: [new IndexedDBAdapter({ database: "panics" })] });
    const write = (handle: import("corella").DocHandle, what: string) => handle.change((doc) => doc.getText("t").insert(0, what));
    const read = (handle: import("corella").DocHandle) => handle.doc.getText("t").toString();
    const thrown = (work: () => unknown) => {
      try {
        work();
        return "nothing";
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const codes: string[] = [];
    const texts: string[] = [];
    let repo = await open();
    let handle = repo.get("panicking");
    const other = repo.get("other");
    for (let round = 0; round < 3; round += 1) {
      write(handle, `${round} `);
      write(other, `${round} `);
      await repo.flush();
      __failpoint("text.insert", 1);
      codes.push(thrown(() => write(handle, "lost")), thrown(() => handle.doc), thrown(() => handle.change(() => {})));
      handle = repo.get("panicking");
      await handle.waitForSync({ kind: "storage" });
      texts.push(read(handle));
    }
    write(handle, "end ");
    texts.push(read(other));
    await repo.close();
    repo = await open();
    handle = repo.get("panicking");
    await handle.waitForSync({ kind: "storage" });
    texts.push(read(handle));
    await repo.close();
    return { codes, texts };
  }, `${origin}/pkg-failpoints`);
  expect(outcome).toEqual({
    codes: ["panic", "closed", "closed", "panic", "closed", "closed", "panic", "closed", "closed"],
    texts: ["0 ", "1 0 ", "2 1 0 ", "2 1 0 ", "end 2 1 0 "],
  });
});
