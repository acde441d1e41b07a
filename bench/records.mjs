// What records cost in the page's module, beside yjs holding the same records in one document.
//
//   node bench/records.mjs        needs pkg/, bench/node_modules and Chromium
//
// Two repos in one process, joined by a pair of sockets, and a start on IndexedDB in Chromium; RECORDS changes the number, measured at ten
// times as many as well.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, extname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { chromium } from "playwright-core";
import * as Y from "yjs";
import { init, Repo, WebSocketAdapter } from "../pkg/index.js";
import * as glue from "../pkg/corella.js";
import { SocketPair } from "../pkg-template/tests/socket-pair.mjs";

const RECORDS = Number(process.env.RECORDS ?? 10_000);
const BATCH = 100;
globalThis.WebSocket = SocketPair;
setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc");
await init();
const { memory } = await glue.default();

const say = (text) => process.stderr.write(`==> ${text}\n`);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const number = (value) => value.toLocaleString("en-US", { maximumFractionDigits: value < 100 ? 1 : 0 });
const value = (at) => ({ title: `Title ${at}`, at, done: false });
const until = async (condition) => {
  while (!(await condition())) await sleep(2);
};

let sockets = 0;
async function corella(count) {
  const [one, two] = [`ws://bench.test/${sockets++}`, `ws://bench.test/${sockets++}`];
  const at = (url) => new WebSocketAdapter({ url });
  const hub = await Repo.open({ role: "relay", adapters: [at(one), at(two)] });
  const repo = await Repo.open({ adapters: [at(one)] });
  const [here, there] = [repo, hub].map((side) => side.collection("facts", { kind: "shared" }));
  await until(() => repo.peers.length === 1);
  const out = {};
  const before = memory.buffer.byteLength;
  let begin = performance.now();
  await Promise.all(Array.from({ length: count }, (_, n) => here.put(`record/${n}`, value(n))));
  out.written = count / ((performance.now() - begin) / 1000);
  await until(async () => (await there.entries({ prefix: `record/${count - 1}`, limit: 1 })).length === 1);
  await here.whenDurable("hub", { timeout: 0 });
  out.applied = count / ((performance.now() - begin) / 1000);
  out.memory = (memory.buffer.byteLength - before) / 2 / count;
  const stats = () => repo.peers[0].channels[0].stats;
  await sleep(300);
  const from = stats();
  const rounds = 20;
  for (let round = 0; round < rounds; round += 1) {
    await Promise.all(Array.from({ length: BATCH }, (_, n) => here.update(`record/${(round * BATCH + n) % count}`, { at: -n })));
    await here.whenDurable("hub", { timeout: 0 });
  }
  const to = stats();
  out.bytes = (to.bytesOut - from.bytesOut) / rounds / BATCH;
  out.messages = (to.messagesOut - from.messagesOut + to.messagesIn - from.messagesIn) / rounds;
  begin = performance.now();
  const fresh = await Repo.open({ adapters: [at(two)] });
  const arriving = fresh.collection("facts", { kind: "shared" });
  const last = `record/${count - 1}`;
  await until(async () => (await arriving.entries({ limit: 1 })).length === 1);
  await until(async () => (await arriving.get(last)) !== undefined && (await arriving.entries()).length === count);
  out.fresh = performance.now() - begin;
  const { messagesIn, messagesOut, bytesIn, bytesOut } = fresh.peers[0].channels[0].stats;
  Object.assign(out, { freshMessages: messagesIn + messagesOut, freshBytes: bytesIn + bytesOut });
  begin = performance.now();
  await arriving.entries();
  out.listed = performance.now() - begin;
  await Promise.all([fresh.close(), repo.close(), hub.close()]);
  return out;
}

function yjs(count) {
  const out = {};
  gc();
  const before = process.memoryUsage().heapUsed;
  const [here, there] = [new Y.Doc(), new Y.Doc()];
  const send = (update) => Y.applyUpdate(there, update);
  here.on("update", send);
  const facts = here.getMap("facts");
  let begin = performance.now();
  for (let from = 0; from < count; from += BATCH) {
    here.transact(() => {
      for (let n = from; n < from + BATCH; n += 1) facts.set(`record/${n}`, new Y.Map(Object.entries(value(n))));
    });
  }
  out.applied = count / ((performance.now() - begin) / 1000);
  gc();
  out.memory = (process.memoryUsage().heapUsed - before) / 2 / count;
  let bytes = 0;
  here.on("update", (update) => (bytes += update.length));
  for (let round = 0; round < 20; round += 1) {
    here.transact(() => {
      for (let n = 0; n < BATCH; n += 1) facts.get(`record/${(round * BATCH + n) % count}`).set("at", -n);
    });
  }
  out.bytes = bytes / 20 / BATCH;
  begin = performance.now();
  const fresh = new Y.Doc();
  const update = Y.encodeStateAsUpdate(here, Y.encodeStateVector(fresh));
  Y.applyUpdate(fresh, update);
  out.fresh = performance.now() - begin;
  out.freshBytes = update.length;
  begin = performance.now();
  fresh.getMap("facts").toJSON();
  out.listed = performance.now() - begin;
  return out;
}

const columns = [];
for (const count of [RECORDS, RECORDS * 10]) {
  say(`${number(count)} records in corella`);
  columns.push([`corella ${number(count)}`, await corella(count)]);
  say(`${number(count)} records in yjs`);
  columns.push([`yjs ${number(count)}`, yjs(count)]);
}
const rows = [
  ["written here a second", "written"],
  ["written and at the other side a second", "applied"],
  [`bytes sent per change, ${BATCH} at once`, "bytes"],
  [`messages per ${BATCH} changes, both ways`, "messages"],
  ["to a fresh device, ms", "fresh"],
  ["to a fresh device, messages", "freshMessages"],
  ["to a fresh device, bytes", "freshBytes"],
  ["listing all with values, ms", "listed"],
  ["bytes of memory per record", "memory"],
];
const table = [["", ...columns.map(([name]) => name)], ...rows.map(([label, key]) => [label, ...columns.map(([, out]) => (out[key] === undefined ? "–" : number(out[key])))])];
const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
console.log(`\nrecords in Node ${process.versions.node}: the page's module, two repos joined by sockets in one process; yjs without any transport\n`);
for (const row of table) console.log(row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]) : cell.padStart(widths[at]))).join("   "));

/** Runs in the page: keeps records, opens them again and lists them, a few times. Each start begins with a module that is there. */
async function started(count) {
  const { init, IndexedDBAdapter, Repo } = await import("/pkg/index.js");
  await init();
  const database = `records-${count}`;
  const open = async () => {
    const repo = await Repo.open({ adapters: [new IndexedDBAdapter({ database })] });
    return [repo, repo.collection("facts", { kind: "shared" })];
  };
  const [repo, facts] = await open();
  await Promise.all(Array.from({ length: count }, (_, at) => facts.put(`record/${at}`, { title: `Title ${at}`, at, done: false })));
  await repo.flush();
  await repo.close();
  const took = [];
  for (let round = 0; round < 7; round += 1) {
    const begin = performance.now();
    const [repo, facts] = await open();
    const keys = await facts.keys();
    const listed = performance.now();
    const entries = await facts.entries();
    took.push([listed - begin, performance.now() - listed]);
    if (keys.length !== count || entries.length !== count) throw new Error(`${keys.length} keys, ${entries.length} records`);
    await repo.close();
  }
  const median = (column) => took.map((round) => round[column]).sort((a, b) => a - b)[3];
  return { start: median(0), values: median(1) };
}

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const server = createServer(async (request, response) => {
  const path = normalize(join(root, decodeURIComponent(new URL(request.url, "http://x").pathname)));
  if (request.url === "/") return response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>bench</title>");
  try {
    if (!path.startsWith(root + sep)) throw new Error("outside");
    const type = { ".js": "text/javascript", ".wasm": "application/wasm" }[extname(path)] ?? "application/octet-stream";
    const bytes = await readFile(path);
    response.writeHead(200, { "content-type": type }).end(bytes);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
console.log("\nrecords in Chromium, from opening the repo on IndexedDB\n");
for (const count of [RECORDS, RECORDS * 10]) {
  const context = await browser.newContext();
  const tab = await context.newPage();
  await tab.goto(`http://127.0.0.1:${server.address().port}/`);
  const { start, values } = await tab.evaluate(started, count);
  console.log(`${number(count).padStart(7)} keys listed, ms${count === 10_000 ? " (aim: at most 50)" : ""}   ${number(start)}   and then all values, ms   ${number(values)}`);
  await context.close();
}
await browser.close();
process.exit(0);
