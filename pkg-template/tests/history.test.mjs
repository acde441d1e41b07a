// Versions, changes, diffs and JSON updates beside the engine's own package.
import assert from "node:assert/strict";
import { test } from "node:test";
import { corella, random, same } from "./reference/index.mjs";

/** A document with something of every kind, in several changes. */
function everything({ doc, LoroCounter, LoroList, LoroMap, LoroText }, peer = 1) {
  const a = doc(peer);
  a.configTextStyle({ bold: { expand: "after" }, link: { expand: "none" } });
  const map = a.getMap("m");
  map.set("half", 1.5);
  map.set("bytes", new Uint8Array([1, 2, 255]));
  map.set("deep", { list: [1, "x", null, true], at: { y: -3 } });
  const text = map.setContainer("text", new LoroText());
  text.insert(0, "a😀b🦜c");
  a.commit({ message: "first" });
  text.delete(1, 2);
  text.mark({ start: 0, end: 2 }, "bold", true);
  text.insert(1, "é");
  a.commit({ timestamp: 1000 });
  const list = a.getList("l");
  for (const item of [1, "two", [3], null]) list.push(item);
  list.insertContainer(1, new LoroMap()).set("in", "list");
  list.delete(3, 1);
  a.commit({ message: "third", timestamp: 2000 });
  const movable = a.getMovableList("ml");
  for (const item of ["a", "b", "c"]) movable.push(item);
  movable.move(0, 2);
  movable.set(1, { s: 1 });
  movable.setContainer(0, new LoroList()).push("deep");
  movable.delete(2, 1);
  const root = a.getTree("t").createNode();
  const child = root.createNode();
  child.data.set("k", "v");
  root.createNode(0);
  child.move(undefined, 0);
  a.getTree("t").delete(root.id);
  a.getCounter("c").increment(2.5);
  a.getCounter("c").decrement(1);
  map.setContainer("n", new LoroCounter()).increment(3);
  map.delete("half");
  a.commit();
  return a;
}

const FRONTIERS = [[], [{ peer: "1", counter: 3 }], [{ peer: "1", counter: 9 }], [{ peer: "1", counter: 20 }]];

same("JSON updates out and in", (tools) => {
  const { note, attempt, doc, VersionVector } = tools;
  const a = everything(tools);
  const json = a.exportJsonUpdates();
  note(json);
  note(a.exportJsonUpdates(undefined, undefined, false));
  note(a.exportJsonUpdates(new VersionVector(new Map([["1", 4]]))));
  note(a.exportJsonUpdates(new VersionVector(new Map([["1", 4]])), new VersionVector(new Map([["1", 12]]))));
  note(a.exportJsonInIdSpan({ peer: "1", counter: 2, length: 9 }), a.exportJsonInIdSpan({ peer: "1", counter: 26, length: 9 }));
  for (const given of [json, JSON.stringify(json), a.exportJsonUpdates(undefined, undefined, false)]) {
    const b = doc(2);
    attempt("import", () => b.importJsonUpdates(given));
    note(b.toJSON(), b.version(), b.getAllChanges());
    note(b.exportJsonUpdates());
  }
  const c = doc(3);
  c.subscribe((event) => note("event", event.by, event.events));
  attempt("again", () => c.importJsonUpdates(json));
  attempt("and again", () => c.importJsonUpdates(json));
  for (const bad of ["no JSON", "{}", { schema_version: 1 }, { ...json, changes: [{ id: "x" }] }, "[1]"]) attempt("bad", () => c.importJsonUpdates(bad));
  c.getMap("m").set("pending", 1);
  note(c.getUncommittedOpsAsJson(), c.getPendingTxnLength());
  note(c.exportJsonUpdates().changes.length, c.getPendingTxnLength(), c.getUncommittedOpsAsJson());
});

same("redacted updates", (tools) => {
  const { note, attempt, doc, redactJsonUpdates } = tools;
  const json = everything(tools).exportJsonUpdates();
  for (const range of [{ 1: [0, 100] }, { 1: [2, 9] }, {}]) {
    const redacted = attempt("redact", () => redactJsonUpdates(json, range));
    const b = doc(2);
    attempt("import", () => b.importJsonUpdates(redacted));
    note(b.toJSON());
  }
  attempt("text", () => redactJsonUpdates(JSON.stringify(json), { 1: [0, 3] }));
  attempt("bad range", () => redactJsonUpdates(json, { 1: [0] }));
  attempt("bad peer", () => redactJsonUpdates(json, { x: [0, 1] }));
});

same("diffs, for JSON and not, and applied", (tools) => {
  const { note, attempt, doc } = tools;
  const a = everything(tools);
  const versions = [...FRONTIERS, a.frontiers()];
  for (const from of versions) {
    for (const to of versions) {
      const entries = (diff) => Object.fromEntries(diff);
      note("json", entries(a.diff(from, to)), entries(a.diff(from, to, true)));
      note("handles", Object.keys(entries(a.diff(from, to, false))));
      if (from.length > 0) continue;
      const b = doc(2);
      const diff = JSON.parse(JSON.stringify(a.diff(from, to)));
      attempt("apply", () => b.applyDiff(diff));
      note(b.toJSON().l, b.toJSON().ml, b.toJSON().c, b.getMap("m").toJSON(), b.getTree("t").getNodes().length, b.getPendingTxnLength());
      attempt("apply handles", () => doc(3).applyDiff(a.diff(from, to, false)));
    }
  }
  attempt("unknown version", () => a.diff([{ peer: "9", counter: 1 }], []));
  for (const bad of [[["x", {}]], [["cid:root-l:List", { type: "list", diff: [{ nothing: 1 }] }]], [["cid:root-l:List", { type: "what" }]], [["cid:root-l:List", { type: "list", diff: [{ retain: 99 }, { insert: [1] }] }]]]) {
    attempt("bad", () => doc(4).applyDiff(bad));
  }
});

same("a text's diff counts in UTF-16, in and out", ({ note, doc }) => {
  const a = doc();
  const text = a.getText("t");
  text.insert(0, "😀a🦜b");
  a.commit();
  const before = a.frontiers();
  text.insert(3, "x");
  text.delete(0, 2);
  a.commit();
  const diff = a.diff(before, a.frontiers());
  note(diff, a.diff(a.frontiers(), before));
  const b = doc(2);
  b.getText("t").insert(0, "😀a🦜b");
  b.commit();
  b.applyDiff(diff);
  note(b.getText("t").toString());
});

same("versions are compared, converted and reverted to", (tools) => {
  const { note, attempt, doc, encodeFrontiers, decodeFrontiers } = tools;
  const a = everything(tools);
  const b = doc(2);
  b.import(a.export({ mode: "update" }));
  b.getMap("m").set("b", 1);
  a.getMap("m").set("a", 1);
  a.commit();
  b.commit();
  const mine = a.frontiers();
  a.import(b.export({ mode: "update", from: a.version() }));
  const both = a.frontiers();
  note(both, a.cmpFrontiers(mine, b.frontiers()), a.cmpFrontiers(mine, both), a.cmpFrontiers(both, mine), a.cmpFrontiers(mine, mine));
  attempt("unknown", () => a.cmpFrontiers([{ peer: "8", counter: 1 }], mine));
  note(a.cmpWithFrontiers(mine), a.cmpWithFrontiers(both), b.cmpWithFrontiers(b.frontiers()));
  note(a.findIdSpansBetween(mine, both), a.findIdSpansBetween(both, mine), a.findIdSpansBetween([], mine));
  note(a.getChangedContainersIn({ peer: "1", counter: 0 }, 8).sort(), a.getChangedContainersIn({ peer: "2", counter: 0 }, 1));
  note(encodeFrontiers(both).length, decodeFrontiers(encodeFrontiers(both)));
  attempt("bad bytes", () => decodeFrontiers(new Uint8Array([9, 9, 9])));
  note(a.frontiersToVV(mine), a.vvToFrontiers(a.version()), a.isShallow(), a.shallowSinceVV(), a.shallowSinceFrontiers());
  a.subscribe((event) => note("event", event.by, event.origin, event.events));
  attempt("revert", () => a.revertTo(FRONTIERS[3]));
  note(a.toJSON(), a.getPendingTxnLength() > 0);
  a.commit();
  attempt("revert to what is not there", () => a.revertTo([{ peer: "77", counter: 0 }]));
  const shallow = doc(3);
  shallow.import(a.export({ mode: "shallow-snapshot", frontiers: a.frontiers() }));
  note(shallow.isShallow(), shallow.shallowSinceVV(), shallow.shallowSinceFrontiers(), shallow.toJSON());
  const pending = doc(4);
  pending.import(b.export({ mode: "update", from: a.frontiersToVV(mine) }));
  note(pending.exportPendingUpdates() !== undefined, a.exportPendingUpdates());
});

same("changes one by one", (tools) => {
  const { note, attempt, doc } = tools;
  const a = everything(tools);
  const b = doc(2);
  b.import(a.export({ mode: "update" }));
  b.getText("x").insert(0, "x");
  b.commit({ message: "b's" });
  a.import(b.export({ mode: "update", from: a.version() }));
  a.getText("x").insert(0, "yy");
  note(a.getAllChanges(), a.changeCount(), a.opCount());
  note(a.getChangeAt({ peer: "1", counter: 12 }), a.getChangeAtLamport("1", 12), a.getChangeAtLamport("2", 0), a.getChangeAtLamport("2", 1000));
  for (const counter of [0, 4, 9, 13, 20, 39]) note(a.getOpsInChange({ peer: "1", counter }).filter((op) => op.content.Map?.key !== "bytes"));
  attempt("no such operation", () => a.getOpsInChange({ peer: "5", counter: 0 }));
  attempt("no such operation", () => a.getChangeAt({ peer: "5", counter: 0 }));
  const seen = [];
  a.travelChangeAncestors(a.frontiers(), (change) => {
    seen.push(change);
    return seen.length < 3;
  });
  note(seen, a.getPendingTxnLength());
  seen.length = 0;
  a.travelChangeAncestors([{ peer: "1", counter: 12 }], (change) => void seen.push([change.peer, change.counter]));
  note(seen);
  attempt("from nowhere", () => a.travelChangeAncestors([{ peer: "5", counter: 0 }], () => true));
});

same("options of commits", ({ note, attempt, doc }) => {
  const a = doc();
  const map = a.getMap("m");
  a.subscribe((event) => note(event.origin));
  a.setChangeMergeInterval(0);
  a.setRecordTimestamp(false);
  a.setNextCommitOptions({ origin: "o", message: "m", timestamp: 5 });
  a.commit();
  map.set("a", 1);
  a.commit();
  a.setNextCommitMessage("gone");
  a.setNextCommitOrigin("gone");
  a.setNextCommitTimestamp(9);
  a.clearNextCommitOptions();
  map.set("b", 1);
  a.commit();
  a.setNextCommitOrigin("kept");
  a.setNextCommitTimestamp(12);
  map.set("c", 1);
  a.commit();
  note(a.getAllChanges());
  note(a.isDetachedEditingEnabled(), a.isDetached());
  a.checkout([{ peer: "1", counter: 0 }]);
  attempt("edit while detached", () => map.set("d", 1));
  a.setDetachedEditing(true);
  note(a.isDetachedEditingEnabled());
  attempt("edit now", () => map.set("d", 1));
  a.commit();
  a.attach();
  note(a.toJSON(), a.changeCount());
  note(a.getDecodedValueCacheLimit());
  a.setDecodedValueCacheLimit(7);
  note(a.getDecodedValueCacheLimit());
});

same("hooks of commits", ({ note, doc }) => {
  const a = doc();
  const map = a.getMap("m");
  a.subscribe((event) => note("event", event.origin));
  const end = a.subscribePreCommit(({ changeMeta, origin, modifier }) => {
    const inside = a.exportJsonInIdSpan({ peer: changeMeta.peer, counter: changeMeta.counter, length: changeMeta.length });
    note("pre", changeMeta, origin, inside);
    modifier.setMessage(`changed ${changeMeta.length}`).setTimestamp(77);
  });
  const endFirst = a.subscribeFirstCommitFromPeer((first) => note("first", first));
  map.set("a", 1);
  a.commit({ origin: "o" });
  map.set("b", 2);
  map.set("c", 2);
  a.commit();
  a.setPeerId(5);
  map.set("d", 2);
  a.commit();
  end();
  endFirst();
  a.setPeerId(6);
  map.set("e", 2);
  a.commit();
  note(a.getAllChanges());
});

for (const seed of [21, 22, 23]) {
  same(`diffs between any two versions, seed ${seed}`, ({ note, doc, LoroMap, LoroText }) => {
    const pick = random(seed);
    const a = doc();
    const versions = [[]];
    const words = ["a", "😀", "xyz", "🦜é"];
    for (let step = 0; step < 40; step += 1) {
      const text = a.getText("t");
      const points = [0, ...[...text.toString()].map((_, at, all) => all.slice(0, at + 1).join("").length)];
      const at = points[pick(points.length)];
      switch (pick(7)) {
        case 0:
        case 1: text.insert(at, words[pick(words.length)]); break;
        case 2: if (at < text.length) text.delete(at, points.find((point) => point > at) - at); break;
        case 3: a.getList("l").insert(pick(a.getList("l").length + 1), step); break;
        case 4: if (a.getList("l").length > 0) a.getList("l").delete(pick(a.getList("l").length), 1); break;
        case 5: a.getMap("m").set(`k${pick(4)}`, step); break;
        default: a.getMap("m").setContainer(`c${pick(3)}`, pick(2) ? new LoroMap() : new LoroText()).toJSON();
      }
      if (pick(2)) {
        a.commit();
        versions.push(a.frontiers());
      }
    }
    a.commit();
    for (let n = 0; n < 12; n += 1) {
      const [from, to] = [versions[pick(versions.length)], versions[pick(versions.length)]];
      note(Object.fromEntries(a.diff(from, to)));
      const b = doc(9);
      b.applyDiff(a.diff([], to));
      a.checkout(to);
      note(a.toJSON().t, b.toJSON().t, b.getList("l").toJSON(), Object.keys(b.getMap("m").toJSON()).sort());
      a.checkoutToLatest();
    }
  });
}

test("what another copy made is refused where it is no plain data", () => {
  const { LoroDoc } = corella;
  const doc = new LoroDoc();
  assert.throws(() => doc.exportJsonUpdates({ __wbg_ptr: 8 }), /VersionVector/);
  assert.throws(() => doc.vvToFrontiers({ __wbg_ptr: 8 }), Error);
  assert.throws(() => doc.applyDiff(7), /diff/);
  assert.throws(() => doc.applyDiff([["cid:root-m:Map", { type: "map", updated: { k: { __wbg_ptr: 8, kind: () => "Map" } } }]]), /this copy/);
  assert.throws(() => doc.applyDiff([["cid:root-t:Tree", { type: "tree", diff: [{ target: "0@1", action: "create", index: 0, fractionalIndex: "8é" }] }]]), /diff/);
});
