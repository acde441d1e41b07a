// The document API beside npm loro-crdt: the same work for both engines, in turns, in Node or in a page.
//
//   node bench/documents.mjs      in Node; bench/run.mjs runs it there and in Chromium

const SLICE_MS = 10;
const SLICE_EDITS = 64;

const now = () => performance.now();
const yielded = () =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });

async function timed(work) {
  const start = now();
  await work();
  return now() - start;
}

/** Does `edit(i)` for all edits in slices of ten milliseconds; returns the milliseconds spent in them. */
async function inSlices(count, edit) {
  let spent = 0;
  let i = 0;
  while (i < count) {
    const start = now();
    let took;
    do {
      for (const end = Math.min(count, i + SLICE_EDITS); i < end; i += 1) edit(i);
      took = now() - start;
    } while (took < SLICE_MS && i < count);
    spent += took;
    await yielded();
  }
  return spent;
}

/** A document of `nodes` containers, nested as an outline is. */
function outline({ LoroDoc, LoroMap, LoroList }, nodes) {
  const doc = new LoroDoc();
  let level = [doc.getMap("root")];
  let made = 1;
  while (made < nodes) {
    const next = [];
    for (const map of level) {
      map.set("title", `node ${made}`);
      map.set("done", made % 3 === 0);
      const children = map.setContainer("children", new LoroList());
      made += 1;
      for (let i = 0; i < 8 && made < nodes; i += 1, made += 1) next.push(children.insertContainer(i, new LoroMap()));
      if (made >= nodes) break;
    }
    level = next;
  }
  doc.commit();
  return doc;
}

/** A `LoroTree` of `nodes` nodes with a title each. */
function tree({ LoroDoc }, nodes) {
  const doc = new LoroDoc();
  const root = doc.getTree("tree");
  const all = [root.createNode()];
  for (let i = 1; i < nodes; i += 1) {
    const node = all[Math.floor((i - 1) / 8)].createNode();
    node.data.set("title", `node ${i}`);
    all.push(node);
  }
  doc.commit();
  return doc;
}

/** Operations of every kind, ten thousand. */
function mixed({ LoroDoc }, doc = new LoroDoc()) {
  const [map, list, text] = [doc.getMap("m"), doc.getList("l"), doc.getText("t")];
  for (let i = 0; i < 10_000; i += 1) {
    if (i % 4 === 0) map.set(`key ${i % 500}`, { at: i, word: "some words" });
    else if (i % 4 === 1) list.insert(i % (list.length + 1), i);
    else if (i % 4 === 2) text.insert((i * 7) % (text.length + 1), "x");
    else if (text.length > 40) text.delete((i * 3) % (text.length - 1), 1);
    else text.insert(0, "abc");
  }
  doc.commit();
  return doc;
}

/** Makes the rows for a trace of `[position, deleted, inserted]`. */
export function rows({ corella, loro, trace, scale = 1 }) {
  const nodes = Math.round(100_000 * scale);
  const loops = Math.round(200_000 * scale);
  const apply = (text, [at, deleted, inserted]) => {
    if (deleted > 0) text.delete(at, deleted);
    if (inserted !== "") text.insert(at, inserted);
  };
  const end = (text, who) => {
    if (trace.end !== undefined && text.toString() !== trace.end) throw new Error(`${who} ended with another text`);
  };
  const count = trace.patches.length;

  const typing = (prepare) => async (engine) => {
    const doc = new engine.LoroDoc();
    const text = doc.getText("text");
    prepare?.(doc);
    const spent = await inSlices(count, (i) => {
      apply(text, trace.patches[i]);
      doc.commit();
    });
    end(text, "the document");
    doc.free();
    return spent;
  };
  const changing = async (engine) => {
    if (engine !== corella) return typing()(engine);
    const repo = await corella.Repo.open();
    const handle = repo.get("typed");
    const text = handle.doc.getText("text");
    const spent = await inSlices(count, (i) => handle.change(() => apply(text, trace.patches[i])));
    end(text, "the handle");
    await repo.close();
    return spent;
  };
  const once = async (engine) => {
    const doc = new engine.LoroDoc();
    const text = doc.getText("text");
    const spent = await timed(() => {
      for (const patch of trace.patches) apply(text, patch);
      doc.commit();
    });
    end(text, "the document");
    doc.free();
    return spent;
  };

  const made = {};
  const bytes = (name, make) => (made[name] ??= make());
  const typed = () => {
    const doc = new loro.LoroDoc();
    const text = doc.getText("text");
    trace.patches.forEach((patch, i) => {
      apply(text, patch);
      if (i % 50 === 0) doc.commit();
    });
    doc.commit();
    return doc;
  };
  const importing = (mode) => async (engine) => {
    const data = bytes(mode, () => typed().export({ mode }));
    const doc = new engine.LoroDoc();
    const spent = await timed(() => {
      doc.import(data);
      end(doc.getText("text"), "the import");
    });
    doc.free();
    return spent;
  };
  const reading = (name, make) => async (engine) => {
    const data = bytes(name, () => make(loro, nodes).export({ mode: "snapshot" }));
    const doc = new engine.LoroDoc();
    doc.import(data);
    doc.toJSON();
    const spent = await timed(() => doc.toJSON());
    doc.free();
    return spent;
  };
  const events = async (engine) => {
    const [base, more] = bytes("events", () => {
      const doc = mixed(loro);
      const version = doc.oplogVersion();
      const snapshot = doc.export({ mode: "snapshot" });
      mixed(loro, doc);
      return [snapshot, doc.export({ mode: "update", from: version })];
    });
    const doc = new engine.LoroDoc();
    doc.import(base);
    let changes = 0;
    doc.subscribe((event) => (changes += event.events.length));
    const spent = await timed(async () => {
      doc.import(more);
      // loro-crdt delivers in a microtask.
      await undefined;
    });
    if (changes === 0) throw new Error("no event came");
    doc.free();
    return spent;
  };
  const setting = async (engine) => {
    const doc = new engine.LoroDoc();
    const map = doc.getMap("m");
    const spent = await timed(() => {
      for (let i = 0; i < loops; i += 1) map.set(`key ${i % 100}`, i);
      doc.commit();
    });
    doc.free();
    return spent;
  };
  const getting = async (engine) => {
    const doc = new engine.LoroDoc();
    const map = doc.getMap("m");
    for (let i = 0; i < 100; i += 1) map.set(`key ${i}`, i % 2 ? i : `word ${i}`);
    doc.commit();
    let found = 0;
    const spent = await timed(() => {
      for (let i = 0; i < loops; i += 1) if (map.get(`key ${i % 100}`) !== undefined) found += 1;
    });
    if (found !== loops) throw new Error("not everything was there");
    doc.free();
    return spent;
  };

  return [
    { name: "typed, a commit each, in DocHandle.change", goal: 0.7, work: changing },
    { name: "typed, a commit each, in a LoroDoc", goal: 0.7, work: typing() },
    { name: "typed, as one commit", goal: 0.75, work: once },
    { name: "typed, a commit each, one listener", goal: 0.9, work: typing((doc) => doc.subscribe(() => {})) },
    { name: "import of a snapshot, and its text", goal: 1.0, work: importing("snapshot") },
    { name: "import of updates, and its text", goal: 0.8, work: importing("update") },
    { name: `toJSON, ${nodes.toLocaleString("en-US")} nodes, LoroTree`, goal: 1.0, work: reading("tree", tree) },
    { name: `toJSON, ${nodes.toLocaleString("en-US")} nodes, maps and lists`, goal: 1.0, work: reading("outline", outline) },
    { name: "events of an import of 10,000 operations", goal: 1.0, work: events },
    { name: `LoroMap.set, ${loops.toLocaleString("en-US")} times`, goal: 1.0, work: setting },
    { name: `LoroMap.get, ${loops.toLocaleString("en-US")} times`, goal: 1.0, work: getting },
  ];
}

/** Runs the rows in turns; returns milliseconds of every round by row. The first round warms up and does not count. */
export async function compare({ corella, loro, trace, scale, rounds, only }) {
  const wanted = rows({ corella, loro, trace, scale }).filter(({ name }) => only === undefined || name.includes(only));
  const results = wanted.map(({ name, goal }) => ({ name, goal, corella: [], loro: [] }));
  for (let round = -1; round < rounds; round += 1) {
    for (const [number, { work }] of wanted.entries()) {
      for (const who of round % 2 === 0 ? ["corella", "loro"] : ["loro", "corella"]) {
        const spent = await work(who === "corella" ? corella : loro);
        if (round >= 0) results[number][who].push(spent);
        await yielded();
      }
    }
  }
  return results;
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** Cells of the table of one run. */
export function cells(results) {
  const ms = (values) => median(values).toFixed(1);
  return results.map(({ name, goal, corella, loro }) => {
    const ratio = median(corella) / median(loro);
    const best = Math.min(...corella) / Math.min(...loro);
    return [name, ms(loro), ms(corella), ratio.toFixed(2), best.toFixed(2), goal.toFixed(2), ratio <= goal ? "met" : "missed"];
  });
}

export const HEAD = ["milliseconds, medians", "loro-crdt", "corella", "ratio", "of the best", "goal", ""];

/** The edits of the recorded trace where it is there, else generated ones of the same kind. */
export async function readTrace() {
  const [{ existsSync, readFileSync }, { gunzipSync }, { fileURLToPath }] = await Promise.all([import("node:fs"), import("node:zlib"), import("node:url")]);
  const path = process.env.TRACE ?? fileURLToPath(new URL("../../shared/data/traces/automerge-paper.json.gz", import.meta.url));
  if (existsSync(path)) {
    const trace = JSON.parse(gunzipSync(readFileSync(path)).toString());
    return { name: "automerge-paper", patches: trace.txns.flatMap((txn) => txn.patches), end: trace.endContent };
  }
  const patches = [];
  let seed = 1;
  let length = 0;
  let at = 0;
  const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  for (let i = 0; i < 260_000; i += 1) {
    if (random() < 0.01) at = Math.floor(random() * (length + 1));
    if (at > 0 && random() < 0.3) {
      patches.push([(at -= 1), 1, ""]);
      length -= 1;
    } else {
      patches.push([at, 0, String.fromCharCode(97 + Math.floor(random() * 26))]);
      at += 1;
      length += 1;
    }
  }
  return { name: "generated typing", patches };
}

/** Runs the comparison in this Node process. */
export async function inNode(options) {
  const [corella, loro] = await Promise.all([import(process.env.PKG ?? "../pkg/index.js"), import("loro-crdt")]);
  await corella.init();
  return compare({ corella, loro, ...options });
}

if (typeof process !== "undefined" && process.argv?.[1]?.endsWith("documents.mjs")) {
  const trace = await readTrace();
  const rounds = Number(process.env.ROUNDS ?? 5);
  const results = await inNode({ trace, rounds, scale: Number(process.env.SCALE ?? 1), only: process.env.ONLY });
  for (const row of [HEAD, ...cells(results)]) console.log(row.map((cell, i) => (i === 0 ? cell.padEnd(50) : cell.padStart(13))).join(""));
}
