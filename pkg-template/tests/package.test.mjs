// The built package, in Node: what a server-side renderer and a first-time user meet.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { test } from "node:test";
import * as corella from "../../pkg/index.js";

const { Repo, LoroDoc, LoroMap, RepoError, EphemeralStore, IndexedDBAdapter, WebSocketAdapter, BroadcastChannelAdapter } = corella;

const code = (expected) => (error) => error instanceof RepoError && error.code === expected;

test("adapters check their options", () => {
  assert.equal(new IndexedDBAdapter().kind, "storage");
  assert.equal(new BroadcastChannelAdapter({ name: "x" }).kind, "tabs");
  assert.equal(new WebSocketAdapter({ url: "ws://localhost/ws" }).state, "off");
  assert.throws(() => new WebSocketAdapter(), code("invalid-argument"));
  assert.throws(() => new WebSocketAdapter({ url: "no address" }), code("invalid-argument"));
  assert.throws(() => new WebSocketAdapter({ url: "ftp://localhost" }), code("invalid-argument"));
  assert.throws(() => new IndexedDBAdapter({ databse: "typo" }), /databse/);
});

test("init may be called twice, at once and again", async () => {
  await Promise.all([corella.init(), corella.default()]);
  await corella.init();
  assert.match(corella.LORO_VERSION(), /^1\./);
});

test("wrong options are refused at the call, with what was expected", async () => {
  await assert.rejects(Repo.open({ adapters: [{}] }), code("invalid-argument"));
  await assert.rejects(Repo.open({ adaptors: [] }), /adaptors/);
  await assert.rejects(Repo.open({ identity: { peerId: "12x" } }), code("invalid-argument"));
  await assert.rejects(Repo.open({ permissions: { visibility: true } }), code("invalid-argument"));
  await assert.rejects(Repo.open({ role: "hub" }), code("invalid-argument"));
  await assert.rejects(Repo.open({ tombstones: { keep: "1d" } }), code("invalid-argument"));
  await assert.rejects(Repo.open({ tombstones: { max: 1.5 } }), code("invalid-argument"));
  await assert.rejects(Repo.open({ tombstones: { days: 1 } }), /days/);
});

test("document ids are any text of 1 to 512 bytes", async () => {
  const repo = await Repo.open();
  assert.throws(() => repo.get(""), code("invalid-argument"));
  assert.throws(() => repo.get("é".repeat(257)), code("invalid-argument"));
  assert.throws(() => repo.get(7), code("invalid-argument"));
  assert.equal(repo.get("a::b/\0🦜").docId, "a::b/\0🦜");
  await repo.close();
});

test("a handle and its document are the same objects every time", async () => {
  const repo = await Repo.open({ identity: { name: "Ada" } });
  const handle = repo.get("d");
  assert.equal(repo.get("d"), handle);
  assert.equal(handle.doc, handle.doc);
  assert.notEqual(handle.doc.peerIdStr, repo.peerId);
  assert.deepEqual(repo.list(), [{ docId: "d", open: true, loaded: true, stored: false }]);
  await repo.delete("d");
  assert.deepEqual(repo.list(), []);
  await repo.close();
});

test("a deleted document says so everywhere, and made anew it has another handle", async () => {
  const repo = await Repo.open();
  const handle = repo.get("d");
  handle.change((doc) => doc.getText("t").insert(0, "old"));
  assert.equal(handle.unsynced, 3);
  await repo.delete("d");
  assert.throws(() => repo.get("d"), code("deleted"));
  assert.throws(() => handle.change(() => {}), code("deleted"));
  assert.throws(() => handle.ephemeral("cursors"), code("deleted"));
  await assert.rejects(handle.waitForSync(), code("deleted"));
  await assert.rejects(handle.whenDurable("memory"), code("deleted"));
  assert.throws(() => repo.create("d"), code("exists"));

  const anew = repo.create("d", { replace: true });
  assert.notEqual(anew, handle);
  anew.change((doc) => doc.getText("t").insert(0, "new"));
  assert.deepEqual([handle.durability, handle.unsynced, handle.readyStates], ["memory", 0, []]);
  assert.equal(handle.doc.getText("t").toString(), "old");
  assert.throws(() => handle.change(() => {}), code("deleted"));
  handle.close();
  assert.equal(repo.get("d"), anew);
  assert.equal(anew.doc.getText("t").toString(), "new");
  await repo.close();
  assert.throws(() => handle.change(() => {}), code("closed"));
});

test("create makes what is not here, and replaces only when told to", async () => {
  const repo = await Repo.open();
  const first = repo.create("d");
  assert.equal(repo.get("d"), first);
  first.change((doc) => doc.getMap("m").set("k", 1));
  assert.throws(() => repo.create("d"), code("exists"));
  assert.throws(() => repo.create(""), code("invalid-argument"));
  assert.throws(() => repo.create("d", { replace: 1 }), code("invalid-argument"));
  assert.throws(() => repo.create("d", { overwrite: true }), /overwrite/);
  const second = repo.create("d", { replace: true });
  assert.notEqual(second, first);
  assert.deepEqual(second.doc.toJSON(), {});
  assert.throws(() => first.change(() => {}), code("deleted"));
  await repo.close();
});

test("a process that has deleted documents ends", () => {
  const program = `import { Repo } from ${JSON.stringify(new URL("../../pkg/index.js", import.meta.url).href)};
    const repo = await Repo.open();
    repo.get("d").change((doc) => doc.getText("t").insert(0, "x"));
    await repo.delete("d");`;
  const { status, signal } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { timeout: 30_000 });
  assert.deepEqual([status, signal], [0, null]);
});

test("a forgotten document is gone from here and may be opened again", async () => {
  const repo = await Repo.open();
  const handle = repo.get("d");
  handle.change((doc) => doc.getText("t").insert(0, "mine alone"));
  await repo.forget("d");
  assert.deepEqual(repo.list(), []);
  assert.throws(() => handle.change(() => {}), code("deleted"));
  const again = repo.get("d");
  assert.notEqual(again, handle);
  assert.equal(again.doc.getText("t").toString(), "");
  await assert.rejects(repo.forget(""), code("invalid-argument"));
  await repo.close();
});

test("durability without anybody else is memory, and waiting for more fails clearly", async () => {
  const repo = await Repo.open();
  const handle = repo.get("d");
  handle.change((doc) => doc.getText("t").insert(0, "😀x"));
  assert.equal(handle.durability, "memory");
  assert.deepEqual([handle.unsynced, repo.unsynced], [2, 2]);
  await handle.whenDurable("memory");
  for (const level of ["disk", "hub", "hub-disk"]) await assert.rejects(handle.whenDurable(level), code("no-adapter"));
  await assert.rejects(handle.whenDurable(), code("invalid-argument"));
  await assert.rejects(handle.whenDurable("cloud"), /hub-disk/);
  await assert.rejects(handle.whenDurable("hub", { timeout: -1 }), code("invalid-argument"));
  await assert.rejects(handle.whenDurable("hub", { signal: 1 }), code("invalid-argument"));
  await assert.rejects(handle.whenDurable("hub", { kind: "network" }), /kind/);
  await assert.rejects(handle.whenDurable("hub", { signal: AbortSignal.abort() }), code("aborted"));
  await repo.close();
  assert.throws(() => repo.unsynced, code("closed"));
  assert.throws(() => repo.create("d"), code("closed"));
  assert.throws(() => repo.permissionsChanged(), code("closed"));
  await assert.rejects(repo.forget("d"), code("closed"));
  await assert.rejects(handle.whenDurable("memory"), code("closed"));
});

test("freeing the document of a closed handle leaves the next handle's listeners alone", async () => {
  const repo = await Repo.open();
  const first = repo.get("d");
  const old = first.doc;
  first.subscribe(() => {});
  first.close();
  const second = repo.get("d");
  assert.notEqual(second, first);
  let heard = 0;
  second.subscribe(() => heard++);
  old.free();
  second.change((doc) => doc.getText("t").insert(0, "😀x"));
  assert.equal(heard, 1);
  await repo.close();
});

test("change is one commit, returns what its function returns and keeps what a throwing one did", async () => {
  const repo = await Repo.open();
  const handle = repo.get("d");
  const events = [];
  handle.subscribe((event) => events.push(event));
  const length = handle.change(
    (doc) => {
      doc.getText("t").insert(0, "ab");
      doc.getText("t").insert(2, "c");
      return doc.getText("t").length;
    },
    { origin: "typing", message: "first" },
  );
  assert.equal(length, 3);
  assert.equal(events.length, 1);
  assert.equal(events[0].by, "local");
  assert.equal(events[0].origin, "typing");
  assert.throws(() => handle.change((doc) => { doc.getText("t").insert(3, "!"); throw new Error("oops"); }), /oops/);
  assert.equal(handle.doc.getText("t").toString(), "abc!");
  assert.throws(() => handle.change(async () => {}), code("invalid-argument"));
  assert.throws(() => handle.change(), code("invalid-argument"));
  await repo.close();
});

test("waiting fails clearly: no adapter, aborted, wrong kind", async () => {
  const repo = await Repo.open();
  const handle = repo.get("d");
  await assert.rejects(handle.waitForSync(), code("no-adapter"));
  await assert.rejects(handle.waitForSync({ kind: "tabs" }), code("invalid-argument"));
  await assert.rejects(handle.waitForSync({ signal: AbortSignal.abort() }), code("aborted"));
  await repo.close();
});

test("after close everything says so, and closing again does nothing", async () => {
  const repo = await Repo.open();
  const handle = repo.get("d");
  await repo.close();
  await repo.close();
  assert.throws(() => repo.get("d"), code("closed"));
  assert.throws(() => repo.list(), code("closed"));
  assert.throws(() => handle.change(() => {}), code("closed"));
  await assert.rejects(handle.waitForSync(), code("closed"));
  await assert.rejects(repo.flush(), code("closed"));
});

test("an event nobody listened to is heard from the moment somebody does, and by those who still do", async () => {
  const repo = await Repo.open();
  const heard = [];
  repo.get("unheard");
  await Promise.resolve();
  const [first, second] = ["first", "second"].map((name) => repo.on("document-added", ({ docId }) => heard.push(`${name}: ${docId}`)));
  repo.get("a");
  first();
  first();
  repo.get("b");
  second();
  repo.get("c");
  repo.on("document-added", ({ docId }) => heard.push(`again: ${docId}`));
  repo.get("d");
  await repo.close();
  second();
  assert.deepEqual(heard, ["first: a", "second: a", "second: b", "again: d"]);
});

test("events have names, and unsubscribing ends them", async () => {
  const repo = await Repo.open();
  const seen = [];
  const stop = repo.on("document-added", (event) => seen.push(event.docId));
  repo.get("one");
  await new Promise((resolve) => setTimeout(resolve, 5));
  stop();
  repo.get("two");
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(seen, ["one"]);
  assert.throws(() => repo.on("nonsense", () => {}), code("invalid-argument"));
  await repo.close();
});

test("a listener that throws does not stop the others and is reported", () => {
  const entry = new URL("../../pkg/index.js", import.meta.url).href;
  const program = `
    import { Repo } from ${JSON.stringify(entry)};
    process.on("uncaughtException", (error) => console.log("reported", error.message));
    process.on("unhandledRejection", (error) => console.log("reported", error.message));
    const repo = await Repo.open();
    repo.on("document-added", () => { throw new Error("of the repo"); });
    repo.on("document-added", () => console.log("heard by the repo's second"));
    const handle = repo.get("d");
    handle.subscribe(() => { throw new Error("of the document"); });
    handle.subscribe(() => console.log("heard by the document's second"));
    handle.change((doc) => doc.getMap("m").set("k", 1));
    await new Promise((resolve) => setTimeout(resolve, 20));
    await repo.close();`;
  const out = execFileSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" }).split("\n").sort();
  assert.deepEqual(out, [
    "",
    "heard by the document's second",
    "heard by the repo's second",
    "reported of the document",
    "reported of the repo",
  ]);
});

test("text positions are UTF-16, in edits and in events", () => {
  const doc = new LoroDoc();
  const text = doc.getText("t");
  let mirror = "";
  doc.subscribe((event) => {
    let at = 0;
    for (const step of event.events[0].diff.diff) {
      if (step.retain) at += step.retain;
      else if (step.insert) { mirror = mirror.slice(0, at) + step.insert + mirror.slice(at); at += step.insert.length; }
      else mirror = mirror.slice(0, at) + mirror.slice(at + step.delete);
    }
  });
  text.insert(0, "a😀b🦜c");
  doc.commit();
  text.insert(3, "-");
  doc.commit();
  text.delete(1, 2);
  doc.commit();
  assert.equal(text.toString(), "a-b🦜c");
  assert.equal(mirror, text.toString());
  assert.equal(text.length, 6);
  assert.throws(() => text.insert(4, "x"), code("invalid-argument"), "inside a surrogate pair");
  const cursor = text.getCursor(5);
  text.insert(0, "🦜");
  assert.equal(doc.getCursorPos(cursor).offset, 7);
});

test("handles are made anew, compared by id; containers are stored as containers only", () => {
  const doc = new LoroDoc();
  const map = doc.getMap("m");
  const child = map.setContainer("child", new LoroMap());
  child.set("k", 1);
  assert.notEqual(map.get("child"), map.get("child"));
  assert.equal(map.get("child").id, child.id);
  assert.equal(child.parent().id, map.id);
  assert.throws(() => map.set("x", child), /setContainer/);
  assert.throws(() => map.setContainer("x", { __wbg_ptr: 1, kind: () => "Map" }), code("invalid-argument"));
  assert.deepEqual(doc.toJSON(), { m: { child: { k: 1 } } });
});

test("events are delivered before the call returns, in order, and never nested", () => {
  const doc = new LoroDoc();
  const order = [];
  doc.getText("t").subscribe(() => order.push("container"));
  doc.subscribe((event) => {
    order.push(`doc ${event.to[0].counter}`);
    if (order.length < 4) {
      doc.getText("t").insert(0, "again");
      doc.commit();
      order.push("still the first listener");
    }
  });
  doc.subscribeLocalUpdates(() => order.push("update"));
  doc.getText("t").insert(0, "x");
  doc.commit();
  assert.deepEqual(order, ["container", "doc 0", "still the first listener", "update", "container", "doc 5", "update"]);
});

test("two documents exchange updates in every mode", () => {
  const a = new LoroDoc();
  const b = new LoroDoc();
  a.getText("t").insert(0, "hello");
  b.import(a.export({ mode: "snapshot" }));
  a.getText("t").insert(5, " world");
  const status = b.import(a.export({ mode: "update", from: b.version() }));
  assert.equal(b.getText("t").toString(), "hello world");
  assert.deepEqual(status.success.get(a.peerIdStr), { start: 5, end: 11 });
  assert.equal(a.version().compare(b.version()), 0);
  assert.throws(() => b.import(new Uint8Array([1, 2, 3])), code("decode"));
  assert.throws(() => b.export({ mode: "nonsense" }), code("invalid-argument"));
});

test("two sets in one millisecond both reach another ephemeral store", () => {
  const a = new EphemeralStore();
  const b = new EphemeralStore();
  a.subscribeLocalUpdates((bytes) => b.apply(bytes));
  for (let n = 0; n < 100; n++) a.set("at", n);
  a.set("gone", true);
  a.delete("gone");
  assert.deepEqual(b.getAllStates(), { at: 99 });
  assert.throws(() => b.apply(new Uint8Array([255])), code("decode"));
  a.destroy();
  b.destroy();
});

test("a closed handle is of no more use, and another one has what it edited", async () => {
  const repo = await Repo.open({ memory: { documents: 0, bytes: Infinity } });
  const handle = repo.get("d");
  const presence = handle.ephemeral("cursors");
  handle.change((doc) => doc.getText("t").insert(0, "kept"));
  const kept = handle.doc;
  handle.close();
  handle.close();
  for (const use of [() => handle.doc, () => handle.change(() => {}), () => handle.ephemeral("cursors"), () => presence.get("x")]) {
    assert.throws(use, code("closed"));
  }
  await assert.rejects(handle.whenDurable("memory"), code("closed"));
  assert.deepEqual([handle.durability, handle.unsynced, handle.readyStates], ["memory", 0, []]);
  assert.equal(kept.getText("t").toString(), "kept");
  assert.equal(repo.get("d").doc.getText("t").toString(), "kept");
  assert.deepEqual(repo.list().map(({ docId, open, loaded }) => [docId, open, loaded]), [["d", true, true]]);
  await repo.close();
  for (const memory of [7, { docs: 1 }, { documents: -1 }, { bytes: 0.5 }]) {
    await assert.rejects(Repo.open({ memory }), code("invalid-argument"));
  }
});

test("a repo is exported as a stream and merged from any kind of file", async () => {
  const repo = await Repo.open();
  for (const id of ["a", "ü🦜"]) repo.get(id).change((doc) => doc.getText("t").insert(0, `text of ${id}`));
  repo.get("gone").change((doc) => doc.getText("t").insert(0, "x"));
  await repo.delete("gone");
  const seen = [];
  const blob = await new Response(repo.export({ onProgress: (progress) => seen.push(progress) })).blob();
  assert.deepEqual([seen.at(-1).documents, seen.at(-1).total, seen.at(-1).bytes], [3, 3, blob.size]);
  const bytes = new Uint8Array(await blob.arrayBuffer());
  async function* slowly() {
    for (let at = 0; at < bytes.length; at += 10) yield bytes.subarray(at, at + 10);
  }
  for (const file of [blob, blob.stream(), bytes, slowly()]) {
    const other = await Repo.open();
    assert.deepEqual(await other.import(file), { documents: 2, tombstones: 1, skipped: [], damaged: [] });
    assert.deepEqual(other.list().map((info) => info.docId), ["a", "ü🦜"]);
    assert.equal(other.get("ü🦜").doc.getText("t").toString(), "text of ü🦜");
    assert.throws(() => other.get("gone"), code("deleted"));
    await other.close();
  }
  await assert.rejects(repo.import(bytes.subarray(0, bytes.length - 1)), code("decode"));
  await assert.rejects(repo.import(new Uint8Array(3)), code("decode"));
  for (const file of [undefined, 7, "text", {}]) await assert.rejects(repo.import(file), code("invalid-argument"));
  await assert.rejects(repo.import(bytes, { signal: AbortSignal.abort() }), code("aborted"));
  await assert.rejects(new Response(repo.export({ signal: AbortSignal.abort() })).blob(), code("aborted"));
  assert.throws(() => repo.export({ progress: 1 }), code("invalid-argument"));
  await repo.export().cancel();
  await repo.close();
  assert.throws(() => repo.export(), code("closed"));
});

test("storage that is not there is a state, not an error", async () => {
  const repo = await Repo.open();
  assert.deepEqual(repo.storageHealth, { state: "none", evicted: false, quarantined: [], damagedRecords: [] });
  assert.deepEqual(await repo.salvage("d"), []);
  await repo.close();
  const without = await Repo.open({ adapters: [new IndexedDBAdapter()] });
  const told = new Promise((resolve) => without.on("storage-health", resolve));
  const event = await told;
  assert.deepEqual([event.ok, event.problem, event.error.code], [false, "unavailable", "storage"]);
  assert.equal(without.storageHealth.state, "unavailable");
  const handle = without.get("d");
  handle.change((doc) => doc.getText("t").insert(0, "works from memory"));
  await assert.rejects(without.flush(), code("storage"));
  await without.close().catch(() => {});
});
