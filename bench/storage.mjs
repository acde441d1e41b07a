// What keeping costs: a long text typed edit by edit with storage attached, many small documents, and a hub under load.
//
//   node bench/storage.mjs        needs pkg/, bench/node_modules and the hub (CORELLA_HUB, or target/release/corella-hub)
//
// TRACE names an editing trace (by default the automerge paper's beside the project, if it is there; else as much typing is made up),
// EDITS, DOCS and CONNECTIONS change the sizes; each is measured at a tenth as well, to show how it grows.
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, extname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { chromium } from "playwright-core";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const EDITS = Number(process.env.EDITS ?? 259_778);
const DOCS = Number(process.env.DOCS ?? 10_000);
// Of y-indexeddb a row an edit: with more of them the page dies.
const Y_EDITS = 30_000;
const CONNECTIONS = (process.env.CONNECTIONS ?? "1,100,1000").split(",").map(Number);
const TRACE = process.env.TRACE ?? join(root, "../shared/data/traces/automerge-paper.json.gz");
const HUB = process.env.CORELLA_HUB ?? join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "release/corella-hub");
const MIME = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const say = (text) => process.stderr.write(`==> ${text}\n`);
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const number = (value) => value.toLocaleString("en-US", { maximumFractionDigits: value < 100 ? 1 : 0 });
const table = (rows) => {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  for (const row of rows) console.log(row.map((cell, i) => (i === 0 ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i]))).join("   "));
};

/** The edits of the trace as `[at, deleted, inserted]`, or as many made up. */
async function edits(count) {
  if (existsSync(TRACE)) {
    const { txns } = JSON.parse(gunzipSync(await readFile(TRACE)).toString());
    return { name: "automerge-paper", edits: txns.flatMap((txn) => txn.patches).slice(0, count) };
  }
  let seed = 1;
  const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const made = [];
  for (let i = 0, at = 0, length = 0; i < count; i += 1) {
    if (random() < 0.01) at = Math.floor(random() * (length + 1));
    if (at > 0 && random() < 0.08) {
      made.push([(at -= 1), 1, ""]);
      length -= 1;
    } else {
      made.push([at, 0, String.fromCharCode(97 + Math.floor(random() * 26))]);
      at += 1;
      length += 1;
    }
  }
  return { name: "made up", edits: made };
}

/** Runs in the page: types into the bare engine and into a handle with IndexedDB, then opens both again. */
async function typing({ edits, imports }) {
  const corella = await import("/pkg/index.js");
  const loro = await import("/bench/node_modules/loro-crdt/web/index.js");
  await corella.default();
  await loro.default();
  const tick = (() => {
    const { port1, port2 } = new MessageChannel();
    let next;
    port1.onmessage = () => next();
    return () => new Promise((resolve) => ((next = resolve), port2.postMessage(0)));
  })();
  let longest = 0;
  /** Types all edits, giving the page its turn every few milliseconds as a person at the keyboard does. */
  const type = async (apply) => {
    const start = performance.now();
    let slice = start;
    for (const edit of edits) {
      apply(edit);
      const now = performance.now();
      if (now - slice > 8) {
        await tick();
        slice = performance.now();
      }
    }
    return performance.now() - start;
  };
  const watch = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) longest = Math.max(longest, entry.duration);
  });
  const put = (text, [at, gone, come]) => {
    if (gone) text.delete(at, gone);
    if (come) text.insert(at, come);
  };
  const result = {};
  const requested = (request) => new Promise((resolve, reject) => ((request.onsuccess = () => resolve(request.result)), (request.onerror = () => reject(request.error))));

  // The bare engine, and one put of its snapshot.
  const bare = new loro.LoroDoc();
  const text = bare.getText("text");
  result.rawMs = await type((edit) => (put(text, edit), bare.commit()));
  const snapshot = bare.export({ mode: "snapshot" });
  result.snapshotBytes = snapshot.length;
  const expected = text.toString();
  const opening = indexedDB.open("raw", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("snapshots");
  const raw = await requested(opening);
  const writing = performance.now();
  await requested(raw.transaction("snapshots", "readwrite").objectStore("snapshots").put(snapshot, "d"));
  result.rawPutMs = performance.now() - writing;

  const database = `typing-${Date.now()}`;
  const adapters = () => [new corella.IndexedDBAdapter({ database })];
  let repo = await corella.Repo.open({ adapters: adapters() });
  let handle = repo.get("d");
  await handle.waitForSync({ kind: "storage" });
  watch.observe({ type: "longtask" });
  // Held, as the bare engine's is.
  const kept = handle.doc.getText("text");
  result.keptMs = await type((edit) => handle.change(() => put(kept, edit)));
  const flushing = performance.now();
  await repo.flush();
  result.flushMs = performance.now() - flushing;
  await tick();
  watch.disconnect();
  result.longestTaskMs = longest;
  if (handle.doc.getText("text").toString() !== expected) throw new Error("the handle ended with another text");
  await repo.close();
  const stored = await requested(indexedDB.open(database));
  const rows = await requested(stored.transaction("records").objectStore("records").getAll());
  stored.close();
  result.records = rows.length;
  result.bytes = rows.reduce((sum, row) => sum + row.bytes.length, 0);

  result.rawOpenMs = [];
  result.openMs = [];
  for (let round = 0; round < 5; round += 1) {
    let start = performance.now();
    const doc = new loro.LoroDoc();
    doc.import(await requested(raw.transaction("snapshots").objectStore("snapshots").get("d")));
    if (doc.getText("text").toString().length !== expected.length) throw new Error("another length");
    result.rawOpenMs.push(performance.now() - start);
    doc.free();
    start = performance.now();
    repo = await corella.Repo.open({ adapters: adapters() });
    handle = repo.get("d");
    await handle.waitForSync({ kind: "storage" });
    if (handle.doc.getText("text").toString().length !== expected.length) throw new Error("another length");
    result.openMs.push(performance.now() - start);
    await repo.close();
  }
  raw.close();

  if (imports) {
    const Y = await import("yjs");
    const { IndexeddbPersistence } = await import("y-indexeddb");
    const doc = new Y.Doc();
    const stored = new IndexeddbPersistence(`y-${database}`, doc);
    await stored.whenSynced;
    const ytext = doc.getText("text");
    result.yMs = await type(([at, gone, come]) =>
      doc.transact(() => {
        if (gone) ytext.delete(at, gone);
        if (come) ytext.insert(at, come);
      }),
    );
    // It says nothing when its writes are done; destroying waits for its database.
    await stored.destroy();
    const start = performance.now();
    const again = new Y.Doc();
    const opened = new IndexeddbPersistence(`y-${database}`, again);
    await opened.whenSynced;
    if (again.getText("text").toString().length !== expected.length) result.yLost = true;
    result.yOpenMs = performance.now() - start;
    await opened.destroy();
  }
  return result;
}

/** Runs in the page: makes many small documents, opens the repo again, lists them, and sends them all to a fresh repo through the hub. */
async function many({ docs, url }) {
  const corella = await import("/pkg/index.js");
  await corella.default();
  const database = `many-${docs}-${Date.now()}`;
  const result = {};
  let repo = await corella.Repo.open({ adapters: [new corella.IndexedDBAdapter({ database })] });
  let start = performance.now();
  for (let i = 0; i < docs; i += 1) {
    const handle = repo.get(`doc-${i}`);
    handle.change((doc) => doc.getText("text").insert(0, `document number ${i}`));
    handle.close();
    if (i % 100 === 99) await new Promise((resolve) => setTimeout(resolve));
  }
  await repo.flush();
  result.createMs = performance.now() - start;
  await repo.close();
  start = performance.now();
  repo = await corella.Repo.open({ adapters: [new corella.IndexedDBAdapter({ database })] });
  while (repo.list().length < docs) await new Promise((resolve) => setTimeout(resolve, 1));
  result.listMs = performance.now() - start;
  result.loaded = repo.list().filter((info) => info.loaded).length;
  if (url) {
    start = performance.now();
    await repo.close();
    const sender = await corella.Repo.open({ adapters: [new corella.IndexedDBAdapter({ database }), new corella.WebSocketAdapter({ url })] });
    const receiver = await corella.Repo.open({ adapters: [new corella.WebSocketAdapter({ url })] });
    let [seen, done] = [0, 0];
    const all = new Promise((resolve) => {
      const counted = (handle) => {
        const come = () => handle.doc.getText("text").length > 0 && (stop(), (done += 1) === docs && resolve());
        const stop = handle.subscribe(come);
      };
      receiver.on("document-added", ({ docId }) => ((seen += 1), counted(receiver.get(docId))));
      receiver.discover();
      // Those the hub hears of later it tells of when it is asked again.
      const again = setInterval(() => (seen < docs ? receiver.discover() : clearInterval(again)), 1_000);
    });
    const limit = Math.max(300_000, docs * 30);
    const late = new Promise((_, reject) => setTimeout(() => reject(new Error(`of ${docs} documents ${done} came within ${limit / 1000} s`)), limit));
    await Promise.race([all, late]);
    result.syncMs = performance.now() - start;
    await Promise.all([sender.close(), receiver.close()]);
  } else await repo.close();
  return result;
}

/** Starts the hub on a folder of its own. */
async function hub() {
  const data = await mkdtemp(join(tmpdir(), "corella-bench-"));
  const child = spawn(HUB, ["--listen", "127.0.0.1:0", "--data", data, "--log", "error", "--max-connections", "2000", "--rate-messages", "0", "--rate-bytes", "0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const address = await new Promise((resolve, reject) => {
    child.once("exit", () => reject(new Error("the hub has ended")));
    child.stdout.once("data", (line) => resolve(String(line).trim().split("http://")[1]));
  });
  const rss = async () => Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${child.pid}/status`, "utf8"))[1]) * 1024;
  const stop = async () => {
    child.kill("SIGTERM");
    await new Promise((resolve) => child.once("exit", resolve));
    await rm(data, { recursive: true, force: true });
  };
  return { url: `ws://${address}/ws`, rss, stop };
}

/** Clients in this process, each with a document, edit until what they typed is on the hub's disk, again and again. */
async function load(connections, seconds) {
  const { Repo, WebSocketAdapter } = await import("../pkg/index.js");
  const server = await hub();
  const before = await server.rss();
  const repos = [];
  for (let i = 0; i < connections; i += 1) repos.push(await Repo.open({ adapters: [new WebSocketAdapter({ url: server.url })] }));
  const handles = repos.map((repo, i) => repo.get(`load-${i}`));
  await Promise.all(handles.map((handle) => handle.waitForSync({ timeout: 60_000 })));
  const connected = await server.rss();
  const edit = async (handle) => {
    const start = performance.now();
    handle.change((doc) => doc.getText("text").insert(0, "x"));
    await handle.whenDurable("hub-disk", { timeout: 60_000 });
    return performance.now() - start;
  };
  // Each client is told of the documents of all the others.
  const first = performance.now();
  await Promise.all(handles.map(edit));
  const firstMs = performance.now() - first;
  const took = [];
  const end = performance.now() + seconds * 1000;
  await Promise.all(
    handles.map(async (handle) => {
      while (performance.now() < end) took.push(await edit(handle));
    }),
  );
  await Promise.all(repos.map((repo) => repo.close()));
  await server.stop();
  took.sort((a, b) => a - b);
  return { firstMs, rate: took.length / seconds, median: median(took), p99: took[Math.floor(took.length * 0.99)], bytes: (connected - before) / connections };
}

/** Bytes of the hub's memory for a document that nobody has open. */
async function idle(docs) {
  const { Repo, WebSocketAdapter } = await import("../pkg/index.js");
  const server = await hub();
  const before = await server.rss();
  const repo = await Repo.open({ adapters: [new WebSocketAdapter({ url: server.url })] });
  for (let i = 0; i < docs; i += 1) {
    repo.get(`idle-${i}`).change((doc) => doc.getText("text").insert(0, `document number ${i}`));
    if (i % 50 === 49) await new Promise((resolve) => setTimeout(resolve));
  }
  const last = [...Array(docs).keys()].map((i) => repo.get(`idle-${i}`).whenDurable("hub-disk", { timeout: 0 }));
  await Promise.all(last);
  await repo.close();
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  const bytes = (await server.rss()) - before;
  await server.stop();
  return bytes / docs;
}

if (globalThis.WebSocket === undefined) {
  // Node 20 has it when told to.
  const { status } = spawnSync(process.execPath, ["--experimental-websocket", ...process.argv.slice(1)], { stdio: "inherit" });
  process.exit(status ?? 1);
}
if (!existsSync(join(root, "pkg/corella_bg.wasm"))) {
  console.error("bench: pkg/ is missing; make pkg builds it");
  process.exit(1);
}
const hasHub = existsSync(HUB);
if (!hasHub) say(`no hub at ${HUB}: what needs one is left out (make hub builds it)`);
const hasY = existsSync(join(root, "bench/node_modules/y-indexeddb"));
const page = `<!doctype html><title>bench</title><script type="importmap">${JSON.stringify({
  imports: {
    yjs: "/bench/node_modules/yjs/dist/yjs.mjs",
    "y-indexeddb": "/bench/node_modules/y-indexeddb/src/y-indexeddb.js",
    ...Object.fromEntries(
      ["indexeddb", "promise", "observable", "array", "math", "map", "encoding", "decoding", "random", "buffer", "error", "binary", "function", "set", "logging", "time", "string", "iterator", "object", "environment", "f64"].map(
        (name) => [`lib0/${name}`, `/bench/node_modules/lib0/${name}.js`],
      ),
    ),
    "lib0/logging": "/bench/node_modules/lib0/logging.js",
    "lib0/webcrypto": "/bench/node_modules/lib0/webcrypto.js",
    "lib0/performance": "/bench/node_modules/lib0/performance.js",
  },
})}</script>`;
const server = createServer(async (request, response) => {
  const path = normalize(join(root, decodeURIComponent(new URL(request.url, "http://x").pathname)));
  if (request.url === "/") return response.writeHead(200, { "content-type": "text/html" }).end(page);
  try {
    if (!path.startsWith(root + sep)) throw new Error("outside");
    const bytes = await readFile(path);
    response.writeHead(200, { "content-type": MIME[extname(path)] ?? "application/octet-stream" }).end(bytes);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

/** A new page, and so nothing left of the measurement before. */
async function inPage(work, argument) {
  const context = await browser.newContext();
  const tab = await context.newPage();
  tab.on("pageerror", (error) => say(`in the page: ${error.message}`));
  try {
    await tab.goto(`http://127.0.0.1:${server.address().port}/`);
    return await tab.evaluate(work, argument);
  } finally {
    await context.close();
  }
}

try {
  const { name, edits: all } = await edits(EDITS);
  const sizes = [Math.round(all.length / 10), all.length];
  const typed = [];
  for (const size of sizes) {
    say(`typing ${number(size)} edits (${name}) into the bare engine and into a handle with IndexedDB`);
    typed.push(await inPage(typing, { edits: all.slice(0, size), imports: hasY && size <= Y_EDITS }));
  }
  const row = (label, cell) => [label, ...typed.map(cell)];
  console.log(`\nTyping ${name} edit by edit, in one Chromium run\n`);
  table([
    ["", ...sizes.map((size) => `${number(size)} edits`)],
    row("loro-crdt, insert + commit, µs an edit", (t) => number((t.rawMs * 1000) / sizes[typed.indexOf(t)])),
    row("corella, storage attached, µs an edit", (t) => number((t.keptMs * 1000) / sizes[typed.indexOf(t)])),
    row("  times the bare engine (aim: at most 1.3)", (t) => (t.keptMs / t.rawMs).toFixed(2)),
    ...(hasY ? [row("yjs with y-indexeddb, µs an edit", (t) => (t.yMs ? number((t.yMs * 1000) / sizes[typed.indexOf(t)]) : "–"))] : []),
    row("longest task, ms (aim: at most 50; 0 is below 50)", (t) => number(t.longestTaskMs)),
    row("all on disk after the last edit, ms (aim: at most 1,000)", (t) => number(t.flushMs)),
    row("one put of the snapshot, bare engine, ms", (t) => number(t.rawPutMs)),
    row("records at rest (aim: at most 64)", (t) => t.records),
    row("bytes at rest", (t) => number(t.bytes)),
    row("  times the snapshot (aim: at most 1.2)", (t) => (t.bytes / t.snapshotBytes).toFixed(2)),
    row("bare engine, snapshot from IndexedDB to text, ms", (t) => number(median(t.rawOpenMs))),
    row("corella, opened to text, ms (aim: 30 more)", (t) => number(median(t.openMs))),
    ...(hasY ? [row("yjs with y-indexeddb, opened to text, ms", (t) => (t.yOpenMs ? number(t.yOpenMs) + (t.yLost ? ", incomplete" : "") : "–"))] : []),
  ]);

  const small = [];
  const counts = [Math.round(DOCS / 10), DOCS];
  for (const docs of counts) {
    say(`${number(docs)} small documents`);
    const relay = hasHub ? await hub() : undefined;
    small.push(await inPage(many, { docs, url: relay?.url }));
    await relay?.stop();
  }
  console.log("\nSmall documents\n");
  table([
    ["", ...counts.map((docs) => `${number(docs)} documents`)],
    ["made, closed and on disk, ms", ...small.map((s) => number(s.createMs))],
    ["opened and listed, ms (aim: at most 100 for 10,000)", ...small.map((s) => number(s.listMs))],
    ["  of them in memory", ...small.map((s) => s.loaded)],
    ...(hasHub ? [["all with a fresh client through the hub, ms", ...small.map((s) => number(s.syncMs))]] : []),
  ]);
} finally {
  await browser.close();
  server.close();
}

if (hasHub) {
  const rows = [];
  for (const connections of CONNECTIONS) {
    say(`${number(connections)} connections to the hub`);
    const { firstMs, rate, median: middle, p99, bytes } = await load(connections, 5);
    rows.push([number(connections), number(firstMs), number(rate), number(middle), number(p99), number(bytes)]);
  }
  console.log("\nThe hub: edits typed by clients in one other process until they are on its disk\n");
  table([["connections", "first of each, ms", "updates a second", "median ms", "p99 ms", "bytes of memory a connection"], ...rows]);
  say("idle documents on the hub");
  const each = [Math.round(DOCS / 10), DOCS];
  const bytes = [];
  for (const docs of each) bytes.push([number(docs), number(await idle(docs))]);
  console.log("");
  table([["idle documents", "bytes of memory each"], ...bytes]);
}
