// Records of the built package in Node: what collections take, what two repos have of each other's, permissions, the catalogue.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Repo, WebSocketAdapter } from "../../pkg/index.js";
import { code, until } from "./joining.mjs";

let pairs = 0;

/** Opens a relay without storage and a leaf, connected; ends them with the test. */
async function join(t, { relay = {}, leaf = {} } = {}) {
  const url = `ws://records.test/${pairs++}`;
  const sockets = [new WebSocketAdapter({ url }), new WebSocketAdapter({ url })];
  const hub = await Repo.open({ identity: { name: "hub", type: "service" }, role: "relay", adapters: [sockets[0]], ...relay });
  const repo = await Repo.open({ identity: { name: "Ada" }, adapters: [sockets[1]], ...leaf });
  t.after(() => Promise.all([repo.close(), hub.close()]));
  await until("they know each other", () => repo.peers.length === 1 && hub.peers.length === 1);
  return { hub, repo, socket: sockets[1] };
}

async function alone(t, options) {
  const repo = await Repo.open(options);
  t.after(() => repo.close());
  return repo;
}

test("how far ahead a clock may be is told, and what is later is not taken", async (t) => {
  for (const records of [7, { drift: -1 }, { drift: "1" }, { lapse: NaN }, { other: 1 }]) {
    await assert.rejects(Repo.open({ records }), code("invalid-argument"), JSON.stringify(records));
  }
  const { now } = Date;
  t.after(() => (Date.now = now));
  for (const [drift, taken] of [[undefined, false], [60 * 60_000, true]]) {
    const { hub, repo } = await join(t, { relay: { records: { drift, lapse: Infinity } } });
    const [here, there] = [repo, hub].map((side) => side.collection("facts", { kind: "shared" }));
    const errors = [];
    hub.on("error", ({ error }) => errors.push(error.message));
    Date.now = () => now() + 20 * 60_000;
    await here.put("ahead", 1);
    Date.now = now;
    await until("it came", async () => (await there.get("ahead")) === 1 || errors.some((message) => message.includes("ms ahead")));
    assert.equal(await there.get("ahead"), taken ? 1 : undefined);
  }
});

test("values come back as they were", async (t) => {
  const shared = (await alone(t)).collection("facts", { kind: "shared" });
  const values = [null, true, 0, -1.5, 2 ** 53 - 1, "", "naïve 🦜", [], {}, [1, [null, { deep: "x" }]], { a: 1, b: { c: [true] }, "": undefined }];
  for (const [at, value] of values.entries()) {
    await shared.put(`k${at}`, value);
    assert.deepEqual(await shared.get(`k${at}`), JSON.parse(JSON.stringify(value)));
  }
  const bytes = new Uint8Array([0, 1, 255]);
  await shared.put("bytes", { bytes, inside: [bytes] });
  assert.deepEqual(await shared.get("bytes"), { bytes, inside: [bytes] });
  assert.equal(await shared.get("missing"), undefined);
});

test("a list has the same values as single records, in any number of parts, and keys come without", async (t) => {
  const shared = (await alone(t)).collection("facts", { kind: "shared" });
  const values = {
    bytes: new Uint8Array([0, 1, 255]),
    deep: { inside: [{ bytes: new Uint8Array([7]) }], __proto__: null },
    empty: {},
    large: "\\ \" \n \u0000 🦜 ".repeat(20_000),
    larger: { text: "x".repeat(250_000) },
    list: [1, -0.5, 1e300, 5e-324, 2 ** 53 - 1, -(2 ** 53 - 1), true, null, "", [[]]],
    'quoted "key"\n': { 'a "field"\\': 1 },
  };
  for (let at = 0; at < 8; at += 1) values[`part/${at}`] = { text: "x".repeat(250_000), bytes: new Uint8Array([at]), at };
  await Promise.all(Object.entries(values).map(([key, value]) => shared.put(key, value)));
  const entries = await shared.entries();
  assert.deepEqual(entries.map(({ key }) => key), Object.keys(values).sort());
  for (const { key, value } of entries) assert.deepEqual(value, await shared.get(key), key);
  assert.deepEqual(await shared.keys(), Object.keys(values).sort().map((key) => ({ key })));
  assert.deepEqual(await shared.keys({ prefix: "part/", limit: 1 }), [{ key: "part/0" }]);
});

test("records are inserted once, updated by field, replaced and deleted", async (t) => {
  const shared = (await alone(t)).collection("facts", { kind: "shared" });
  await shared.insert("a", { title: "A", count: 1 });
  await assert.rejects(shared.insert("a", {}), code("exists"));
  await shared.update("a", { count: 2, more: true, nothing: undefined });
  assert.deepEqual(await shared.get("a"), { title: "A", count: 2, more: true });
  await shared.put("a", { other: 1 });
  assert.deepEqual(await shared.get("a"), { other: 1 });
  await assert.rejects(shared.update("b", { x: 1 }), code("not-found"));
  assert.deepEqual([await shared.delete("a"), await shared.delete("a")], [true, false]);
  assert.deepEqual([await shared.get("a"), await shared.entries()], [undefined, []]);
});

test("records are listed by owner and key, by prefix, so many", async (t) => {
  const repo = await alone(t);
  const owned = repo.collection("mine", { kind: "owned" });
  for (const key of ["b/2", "a", "b/1"]) await owned.put(key, key);
  const device = await repo.device;
  assert.match(device, /^[0-9a-f]{16}$/);
  const keys = async (filter) => (await owned.entries(filter)).map(({ key }) => key);
  assert.deepEqual(await owned.entries({ limit: 1 }), [{ key: "a", owner: device, value: "a" }]);
  assert.deepEqual([await keys(), await keys({ prefix: "b/" }), await keys({ owner: device, prefix: "b/", limit: 1 })], [["a", "b/1", "b/2"], ["b/1", "b/2"], ["b/1"]]);
  assert.deepEqual(await keys({ owner: "0".repeat(16) }), []);
  assert.deepEqual(await owned.keys({ prefix: "b/", limit: 1 }), [{ key: "b/1", owner: device }]);
  assert.equal(await owned.get("a", { owner: device }), "a");
});

test("bad arguments are errors at the call, and nothing is written", async (t) => {
  const repo = await alone(t);
  const shared = repo.collection("facts", { kind: "shared" });
  for (const call of [
    () => repo.collection("facts", { kind: "owned" }),
    () => repo.collection("", { kind: "owned" }),
    () => repo.collection("x".repeat(129), { kind: "owned" }),
    () => repo.collection("x"),
    () => repo.collection("x", { kind: "other" }),
    () => shared.subscribe(1),
  ]) {
    assert.throws(call, code("invalid-argument"));
  }
  const circle = {};
  circle.self = circle;
  for (const value of [undefined, NaN, Infinity, 1n, () => {}, Symbol("s"), new Date(0), new Map(), { a: undefined, b: [undefined] }, circle, "x".repeat(262_145)]) {
    await assert.rejects(shared.put("k", value), code("invalid-argument"), String(typeof value));
  }
  for (const key of ["", 1, undefined, "k".repeat(513)]) await assert.rejects(shared.put(key, 1), code("invalid-argument"));
  for (const filter of [{ owner: "x" }, { prefix: 1 }, { limit: -1 }, { unknown: 1 }]) await assert.rejects(shared.entries(filter), code("invalid-argument"));
  await assert.rejects(shared.get("k", { owner: "0".repeat(16) }), code("invalid-argument"));
  await assert.rejects(shared.update("k", "text"), code("invalid-argument"));
  assert.deepEqual(await shared.entries(), []);
  // Just what fits: names and values count.
  await shared.put("large", { b: new Uint8Array(262_144 - 6) });
  await assert.rejects(shared.update("large", { c: "more" }), (error) => code("invalid-argument")(error) && /262144 bytes/.test(error.message));
});

test("what one repo writes the other reads, hears of and may change", async (t) => {
  const { hub, repo } = await join(t);
  const here = repo.collection("facts", { kind: "shared" });
  const there = hub.collection("facts", { kind: "shared" });
  const heard = [];
  const end = there.subscribe((changes) => heard.push(...changes));
  await here.put("a", { title: "A", by: "repo" });
  await until("it is there", async () => (await there.get("a"))?.title === "A");
  assert.deepEqual(heard, [{ key: "a", deleted: false, local: false }]);
  await Promise.all([here.update("a", { left: 1 }), there.update("a", { right: 2 })]);
  const both = { title: "A", by: "repo", left: 1, right: 2 };
  for (const side of [here, there]) await until("both have both fields", async () => JSON.stringify(Object.entries(await side.get("a")).sort()) === JSON.stringify(Object.entries(both).sort()));
  await there.delete("a");
  await until("it is gone", async () => (await here.get("a")) === undefined);
  end();
  const before = heard.length;
  await here.put("b", 1);
  await until("it is there", async () => (await there.get("b")) === 1);
  assert.equal(heard.length, before);
});

test("owned records are read by owner and written by it alone", async (t) => {
  const { hub, repo } = await join(t);
  const [here, there] = [repo, hub].map((side) => side.collection("state", { kind: "owned" }));
  const [mine, theirs] = await Promise.all([repo.device, hub.device]);
  assert.notEqual(mine, theirs);
  await Promise.all([here.put("k", "repo"), there.put("k", "hub")]);
  await until("each has both", async () => (await here.entries()).length === 2 && (await there.entries()).length === 2);
  assert.deepEqual([await here.get("k"), await here.get("k", { owner: theirs }), await there.get("k", { owner: mine })], ["repo", "hub", "repo"]);
});

test("the durability ladder and what is unsynced count records", async (t) => {
  const { repo, socket } = await join(t);
  const shared = repo.collection("facts", { kind: "shared" });
  socket.disconnect();
  await until("it is offline", () => repo.peers.length === 0);
  const counts = [];
  repo.on("unsynced-changed", ({ unsynced }) => counts.push(unsynced));
  await Promise.all([shared.put("a", 1), shared.put("b", 2), shared.put("a", 3)]);
  assert.deepEqual([repo.unsynced, await shared.durability()], [2, "memory"]);
  await assert.rejects(shared.whenDurable("hub", { timeout: 20 }), code("timeout"));
  const aborting = new AbortController();
  const waiting = shared.whenDurable("hub", { signal: aborting.signal });
  aborting.abort();
  await assert.rejects(waiting, code("aborted"));
  await repo.flush();
  socket.connect();
  await shared.whenDurable("hub", { timeout: 10_000 });
  assert.deepEqual([repo.unsynced, await shared.durability()], [0, "hub"]);
  await until("that was told", () => counts.at(-1) === 0);
  assert.ok(counts.includes(2), String(counts));
});

test("a repo that closes ends its collections", async (t) => {
  const repo = await Repo.open();
  const shared = repo.collection("facts", { kind: "shared" });
  const catalogue = repo.catalogue;
  await repo.close();
  await assert.rejects(shared.put("a", 1), code("closed"));
  await assert.rejects(catalogue.list(), code("closed"));
  assert.throws(() => repo.collection("facts", { kind: "shared" }), code("closed"));
});

test("permissions are asked about records: what is hidden does not leak, what is refused is taken back", async (t) => {
  const asked = [];
  const hidden = (subject) => subject.collection === "secrets" || subject.id === "private";
  const relay = {
    permissions: {
      visibility: (subject) => !hidden(subject),
      mutability: (subject) => {
        asked.push(subject);
        return subject.collection !== "fixed";
      },
      deletion: (subject) => subject.record !== "stays",
    },
  };
  const { hub, repo } = await join(t, { relay });
  const errors = [];
  repo.on("error", ({ error }) => errors.push(error.message));
  const on = (side, name) => side.collection(name, { kind: "shared" });
  await on(hub, "secrets").put("s", "hidden");
  await hub.catalogue.set("private", { title: "hidden" });
  await hub.catalogue.set("public", { title: "shown" });
  await on(hub, "fixed").put("f", "as it is");
  await on(hub, "open").put("stays", 1);
  await until("what may be seen is there", async () => (await on(repo, "open").get("stays")) === 1 && (await on(repo, "fixed").get("f")) === "as it is");
  await until("the catalogue is there", async () => (await repo.catalogue.get("public"))?.title === "shown");
  assert.deepEqual([await on(repo, "secrets").entries(), await repo.catalogue.get("private")], [[], undefined]);
  await on(repo, "fixed").put("f", "changed");
  await on(repo, "open").delete("stays");
  await until("both are taken back", async () => (await on(repo, "fixed").get("f")) === "as it is" && (await on(repo, "open").get("stays")) === 1);
  assert.ok(errors.some((text) => /mutability/.test(text)) && errors.some((text) => /deletion/.test(text)), String(errors));
  assert.ok(asked.some(({ id, collection, record }) => id === "" && collection === "fixed" && record === "f"));
});

test("the catalogue tells of documents without loading them, and who opened them last", async (t) => {
  const { hub, repo } = await join(t);
  const heard = new Set();
  hub.catalogue.subscribe((ids) => ids.forEach((id) => heard.add(id)));
  await repo.catalogue.set("d", { title: "Diary", labels: ["b", "a"], data: { icon: "📓" } });
  repo.get("d");
  await until("it is known there", async () => (await hub.catalogue.get("d"))?.opened.length === 1);
  const entry = await hub.catalogue.get("d");
  assert.deepEqual([entry.title, entry.labels, entry.data, entry.opened[0].name, entry.opened[0].device], ["Diary", ["a", "b"], { icon: "📓" }, "Ada", await repo.device]);
  assert.ok(entry.created <= Date.now() && entry.updated >= entry.created && entry.opened[0].at >= entry.created);
  assert.ok(heard.has("d"));
  // Two label it at once.
  await Promise.all([repo.catalogue.set("d", { labels: ["a", "b", "c"] }), hub.catalogue.set("d", { labels: ["a", "z"] })]);
  for (const side of [repo, hub]) await until("both stand", async () => (await side.catalogue.get("d")).labels.join() === "a,c,z");
  await hub.catalogue.set("d", { title: "Journal" });
  await until("the title is here", async () => (await repo.catalogue.get("d")).title === "Journal");
  assert.deepEqual((await repo.catalogue.list()).map(({ docId, title }) => [docId, title]), [["d", "Journal"]]);
  await repo.delete("d");
  await until("it is gone there", async () => (await hub.collection("corella:catalogue", { kind: "shared" }).get("d")) === undefined);
  for (const facts of [{ title: 1 }, { labels: "x" }, { labels: [""] }, { other: 1 }, undefined]) {
    await assert.rejects(repo.catalogue.set("d", facts), code("invalid-argument"));
  }
});

test("ten thousand records come over in pages, and edits in a burst are gathered", async (t) => {
  const { hub, repo, socket } = await join(t);
  const [here, there] = [repo, hub].map((side) => side.collection("many", { kind: "shared" }));
  socket.disconnect();
  await until("it is offline", () => repo.peers.length === 0);
  await Promise.all(Array.from({ length: 10_000 }, (_, at) => here.put(`record/${at}`, { title: `Title ${at}`, at })));
  socket.connect();
  await until("all are there", async () => (await there.entries()).length === 10_000);
  const sent = () => repo.peers[0].channels[0].stats.messagesOut;
  await here.whenDurable("hub");
  const before = sent();
  await Promise.all(Array.from({ length: 100 }, (_, at) => here.update(`record/${at}`, { at: -at })));
  await here.whenDurable("hub");
  assert.deepEqual(await there.get("record/99"), { title: "Title 99", at: -99 });
  assert.ok(sent() - before <= 10, `${sent() - before} messages`);
});

test("a backup brings records back that are missing, and none that were deleted or are newer", async (t) => {
  const from = await alone(t);
  const shared = from.collection("facts", { kind: "shared" });
  for (const key of ["same", "deleted", "newer", "lost"]) await shared.put(key, { key, n: 1 });
  await from.catalogue.set("d", { title: "Diary" });
  const pieces = [];
  for await (const piece of from.export()) pieces.push(piece);
  const file = new Blob(pieces);
  await shared.delete("deleted");
  await shared.update("newer", { n: 2 });
  const before = await shared.entries();
  await from.import(file);
  assert.deepEqual(await shared.entries(), before);
  const to = await alone(t);
  const other = to.collection("facts", { kind: "shared" });
  await other.put("newer", { n: 3 });
  await to.import(file);
  const found = Object.fromEntries((await other.entries()).map(({ key, value }) => [key, value.n]));
  assert.deepEqual(found, { deleted: 1, lost: 1, newer: 3, same: 1 });
  assert.equal((await to.catalogue.get("d")).title, "Diary");
});
