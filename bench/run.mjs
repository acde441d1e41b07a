// What a keystroke costs beside the bare engine, and what the package weighs. Needs pkg/ and bench/node_modules.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { dirname, extname, join, normalize, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { HEAD, cells, inNode, readTrace } from "./documents.mjs";
import { weights } from "../scripts/size.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const KEYS = Number(process.env.KEYS ?? 20000);
const ROUNDS = Number(process.env.ROUNDS ?? 5);
/** Rounds of the document API, which take half a minute each. */
const DOCUMENT_ROUNDS = Number(process.env.DOCUMENT_ROUNDS ?? 3);
const MIME = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };
const say = (text) => process.stderr.write(`==> ${text}\n`);

const server = createServer(async (request, response) => {
  const path = normalize(join(root, decodeURIComponent(new URL(request.url, "http://x").pathname)));
  if (request.url === "/") return response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>bench</title>");
  try {
    if (!path.startsWith(root + sep)) throw new Error("outside");
    const body = await readFile(path);
    response.writeHead(200, { "content-type": MIME[extname(path)] ?? "application/octet-stream" }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});

/** Runs in the page: types into both engines, in turns, and returns microseconds per keystroke of every round. */
async function measure({ keys, rounds }) {
  const corella = await import("/pkg/index.js");
  const loro = await import("/bench/node_modules/loro-crdt/web/index.js");
  await corella.default();
  await loro.default();

  // The same typing for all: mostly forwards, now and then a jump or a backspace.
  const script = [];
  let seed = 1;
  let length = 0;
  let at = 0;
  const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  for (let i = 0; i < keys; i += 1) {
    if (random() < 0.01) at = Math.floor(random() * (length + 1));
    if (at > 0 && random() < 0.08) {
      script.push([(at -= 1), ""]);
      length -= 1;
    } else {
      script.push([at, String.fromCharCode(97 + Math.floor(random() * 26))]);
      at += 1;
      length += 1;
    }
  }
  const type = (text, [where, what]) => (what === "" ? text.delete(where, 1) : text.insert(where, what));
  const tick = (() => {
    const { port1, port2 } = new MessageChannel();
    let next;
    port1.onmessage = () => next();
    return () => new Promise((resolve) => ((next = resolve), port2.postMessage(0)));
  })();
  const timed = async (work) => {
    const start = performance.now();
    await work();
    return ((performance.now() - start) * 1000) / keys;
  };
  const expected = script.reduce((text, [where, what]) => (what === "" ? text.slice(0, where) + text.slice(where + 1) : text.slice(0, where) + what + text.slice(where)), "");
  const same = (text, who) => {
    if (text !== expected) throw new Error(`${who} ended with another text`);
  };

  const bare = (module) => async (spread) => {
    const doc = new module.LoroDoc();
    const text = doc.getText("text");
    const took = await timed(async () => {
      for (const key of script) {
        type(text, key);
        doc.commit();
        if (spread) await tick();
      }
    });
    same(text.toString(), "the bare engine");
    doc.free?.();
    return took;
  };

  let databases = 0;
  const kept = async (spread) => {
    const database = `bench-${Date.now()}-${(databases += 1)}`;
    const repo = await corella.Repo.open({ adapters: [new corella.IndexedDBAdapter({ database })] });
    const handle = repo.get("typed");
    await handle.waitForSync({ kind: "storage" });
    const took = await timed(async () => {
      for (const key of script) {
        handle.change((doc) => type(doc.getText("text"), key));
        if (spread) await tick();
      }
    });
    const flush = performance.now();
    await repo.flush();
    flushes.push(performance.now() - flush);
    same(handle.doc.getText("text").toString(), "the handle");
    await repo.close();
    await new Promise((resolve) => (indexedDB.deleteDatabase(database).onsuccess = resolve));
    return took;
  };

  const flushes = [];
  const runs = { raw: bare(loro), engine: bare(corella), kept };
  const results = { flushes };
  for (const spread of [false, true]) {
    for (let round = -1; round < rounds; round += 1) {
      // Another one begins every time; round -1 warms up.
      const names = Object.keys(runs);
      for (let i = 0; i < names.length; i += 1) {
        const name = names[(i + round + names.length) % names.length];
        const took = await runs[name](spread);
        if (round >= 0) (results[`${name}${spread ? " spread" : ""}`] ??= []).push(took);
      }
    }
  }
  results.ticks = [await timed(async () => {
    for (let i = 0; i < keys; i += 1) await tick();
  })];
  results.characters = expected.length;
  return results;
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const table = (rows) => {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  for (const row of rows) console.log(row.map((cell, i) => (i === 0 ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i]))).join("   "));
};

if (!existsSync(join(root, "pkg/corella_bg.wasm"))) {
  console.error("bench: pkg/ is missing; make pkg builds it");
  process.exit(1);
}
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
let typed;
let documents;
const trace = await readTrace();
try {
  say(`typing ${KEYS} keys into each, ${ROUNDS} rounds and two ways (a minute or so)`);
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  typed = await page.evaluate(measure, { keys: KEYS, rounds: ROUNDS });
  say(`the document API in Chromium, ${DOCUMENT_ROUNDS} rounds (minutes)`);
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  documents = await page.evaluate(
    async (options) => {
      const { compare } = await import("/bench/documents.mjs");
      const [corella, loro] = [await import("/pkg/index.js"), await import("/bench/node_modules/loro-crdt/web/index.js")];
      await corella.default();
      await loro.default();
      return compare({ corella, loro, ...options });
    },
    { trace, rounds: DOCUMENT_ROUNDS },
  );
} finally {
  await browser.close();
  server.close();
}

say(`the document API in Node, ${DOCUMENT_ROUNDS} rounds (minutes)`);
const documentsInNode = await inNode({ trace, rounds: DOCUMENT_ROUNDS });

say("compressing");
const weighed = await weights();

const row = (label, name) => [label, ...[name, `${name} spread`].flatMap((key) => [median(typed[key]).toFixed(1), `${Math.min(...typed[key]).toFixed(1)}-${Math.max(...typed[key]).toFixed(1)}`])];
console.log(`\nµs per keystroke, median and range of ${ROUNDS} rounds of ${KEYS} keys, in one Chromium run\n`);
table([
  ["", "in one loop", "range", "a task each", "range"],
  row("loro-crdt 1.17.1, insert + commit", "raw"),
  row("corella LoroDoc, insert + commit", "engine"),
  row("corella DocHandle.change, IndexedDB attached", "kept"),
]);
console.log(`\n"A task each" counts everything until the next key, an empty task of ${median(typed.ticks).toFixed(1)} µs included.`);
console.log(`flush() afterwards: ${median(typed.flushes).toFixed(0)} ms (median), ${Math.max(...typed.flushes).toFixed(0)} ms (longest).\n`);
for (const [where, results] of [["Chromium", documents], [`Node ${process.versions.node}`, documentsInNode]]) {
  console.log(`the document API in ${where}: ${trace.name}, ${trace.patches.length} edits, ${DOCUMENT_ROUNDS} rounds in turns\n`);
  table([HEAD, ...cells(results)]);
  console.log("");
}
const number = (value) => value.toLocaleString("en-US");
table([["bytes, every file compressed by itself", "raw", "gzip -9", "brotli 11"], ...weighed.map(([label, w]) => [label, number(w.raw), number(w.gzip), number(w.brotli)])]);
