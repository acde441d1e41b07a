// The rest of the document API beside the engine's own package.
import assert from "node:assert/strict";
import { test } from "node:test";
import { corella, random, same } from "./reference/index.mjs";

function garden({ doc, LoroCounter, LoroList, LoroMap, LoroMovableList, LoroText, LoroTree }) {
  const a = doc();
  a.configDefaultTextStyle({ expand: "after" });
  const map = a.getMap("m");
  map.set("a", 1.5);
  map.set("list", [1, { x: null }]);
  const list = map.setContainer("l", new LoroList());
  list.push("x");
  list.pushContainer(new LoroText()).insert(0, "deep 😀");
  list.pushContainer(new LoroCounter()).increment(2);
  map.setContainer("ml", new LoroMovableList()).pushContainer(new LoroMap()).set("k", "v");
  const tree = map.setContainer("t", new LoroTree());
  const node = tree.createNode();
  node.data.set("n", 1);
  node.createNode().data.setContainer("text", new LoroText()).insert(0, "in the tree");
  const text = a.getText("text");
  text.insert(0, "héllo 🦜!");
  text.mark({ start: 0, end: 5 }, "bold", true);
  a.getList("empty");
  a.commit();
  return a;
}

same("container trees and values with ids", (tools) => {
  const { note, attempt, LoroMap, LoroList, LoroText, LoroTree, LoroCounter, LoroMovableList } = tools;
  const a = garden(tools);
  note(a.toContainerTree(), a.toContainerTree({ text: "delta" }), a.toContainerTree({ roots: ["text", "nothing"] }), a.toContainerTree({ roots: [] }));
  note(JSON.parse(a.toContainerTreeJson()), JSON.parse(a.toContainerTreeJson({ text: "delta", roots: ["m"] })));
  note(a.getDeepValueWithID());
  const map = a.getMap("m");
  for (const container of [map, a.getText("text"), ...["l", "ml", "t"].map((key) => map.get(key))]) {
    note(container.toContainerTree(), container.toContainerTree({ text: "delta" }), container.getDeepValueWithID());
  }
  note(map.get("l").get(2).toContainerTree());
  for (const [start, end] of [[0, 2], [1, 9], [0, 0]]) {
    const list = map.get("l");
    note(list.getRangeValue(start, end), list.getRangeDeepValueWithID(start, end), list.toContainerTreeSlice(start, end));
    note(map.get("ml").getRangeValue(start, end), map.get("ml").getRangeDeepValueWithID(start, end), map.get("ml").toContainerTreeSlice(start, end, { text: "delta" }));
  }
  for (const made of [new LoroMap(), new LoroList(), new LoroText(), new LoroTree(), new LoroMovableList(), new LoroCounter()]) {
    attempt("detached", () => made.toContainerTree());
  }
  for (const options of [{ text: "x" }, { roots: "m" }, { roots: [1] }, null, undefined, {}]) attempt("options", () => a.toContainerTree(options));
  map.set("bytes", new Uint8Array([1]));
  attempt("no JSON", () => a.toContainerTreeJson());
  attempt("bytes", () => a.toContainerTree());
  note(a.getPendingTxnLength());
});

same("a replacer sees every value and container", (tools) => {
  const { note, attempt, isContainer } = tools;
  const a = garden(tools);
  note(a.toJsonWithReplacer((key, value) => value));
  note(a.toJsonWithReplacer((key, value) => (isContainer(value) && value.kind() === "Text" ? value.toDelta() : value)));
  note(a.toJsonWithReplacer((key, value) => (key === "l" ? undefined : value === "x" ? "y" : value)));
  const keys = [];
  a.toJsonWithReplacer((key, value) => {
    keys.push([key, isContainer(value) ? value.kind() : typeof value]);
    return value;
  });
  note(keys.sort());
  attempt("another container", () => a.toJsonWithReplacer((key, value) => (isContainer(value) && value.kind() === "List" ? a.getText("text") : value)));
});

same("containers that merge", ({ note, attempt, doc }) => {
  const [a, b] = [doc(1), doc(2)];
  for (const one of [a, b]) {
    const map = one.getMap("m");
    map.ensureMergeableText("text").insert(0, one.peerIdStr);
    map.ensureMergeableMap("map").set(one.peerIdStr, true);
    map.ensureMergeableList("list").push(one.peerIdStr);
    map.ensureMergeableMovableList("movable").push(one.peerIdStr);
    map.ensureMergeableCounter("counter").increment(1);
    map.ensureMergeableTree("tree").createNode().data.set("by", one.peerIdStr);
    one.commit();
  }
  a.import(b.export({ mode: "update" }));
  b.import(a.export({ mode: "update" }));
  note(a.toJSON(), b.toJSON(), a.getMap("m").get("text"), a.getMap("m").getLastEditor("text"), a.getMap("m").getLastEditor("nothing"));
  attempt("another kind", () => a.getMap("m").ensureMergeableMap("text"));
  a.getMap("m").set("plain", 1);
  attempt("over a value", () => a.getMap("m").ensureMergeableList("plain"));
  const before = a.frontiers();
  a.getMap("m").delete("counter");
  a.commit();
  note(a.toJSON());
  const diff = a.diff(a.frontiers(), before);
  a.applyDiff(diff, { fullState: true });
  a.commit();
  note(diff, a.toJSON());
});

same("values that cannot be stored", ({ note, attempt, doc }) => {
  const map = doc().getMap("m");
  for (const value of [{ [Symbol("s")]: 1 }, { a: { [Symbol("s")]: 1 } }, [{ [Symbol("s")]: 1 }], 1n, () => {}, Symbol("s")]) {
    attempt("set", () => map.set("k", value));
  }
  for (const value of [undefined, -0, NaN, Infinity, 2 ** 60, new Date(0), new Map([["k", new Map()]]), [undefined], { u: undefined }]) attempt("set", () => map.set("v", value));
  note(map.toJSON());
});

same("texts in other units", ({ note, attempt, doc }) => {
  const a = doc();
  a.configDefaultTextStyle({ expand: "after" });
  const text = a.getText("t");
  text.insert(0, "aé😀b");
  a.setPeerId(2);
  text.insertUtf8(3, "x");
  note(text.toString());
  for (const at of [0, 1, 2, 3, 4, 5, 6, 9]) {
    for (const from of ["unicode", "utf16", "utf8"]) for (const to of ["unicode", "utf16", "utf8"]) attempt(`${at} ${from} ${to}`, () => text.convertPos(at, from, to));
  }
  attempt("unit", () => text.convertPos(0, "x", "utf8"));
  text.mark({ start: 1, end: 5 }, "b", true);
  note(text.sliceDeltaUtf8(1, 8), text.sliceDelta(1, 5));
  attempt("inside a character", () => text.sliceDeltaUtf8(2, 4));
  attempt("inside a character", () => text.insertUtf8(2, "x"));
  attempt("inside a character", () => text.deleteUtf8(2, 1));
  attempt("beyond", () => text.deleteUtf8(2, 99));
  text.deleteUtf8(1, 2);
  note(text.toString(), text.getEditorOf(0), text.getEditorOf(1));
});

same("who wrote what in lists", ({ note, doc }) => {
  const a = doc();
  const movable = a.getMovableList("ml");
  for (const item of ["a", "b", "c"]) movable.push(item);
  const list = a.getList("l");
  list.push("x");
  list.push("y");
  a.setPeerId(2);
  movable.move(0, 2);
  movable.set(0, "B");
  list.insert(0, "w");
  for (const at of [0, 1, 2, 3]) note(list.getIdAt(at), movable.getCreatorAt(at), movable.getLastMoverAt(at), movable.getLastEditorAt(at));
});

same("roots, paths and ids", ({ note, attempt, doc, ...tools }) => {
  const a = garden({ doc, ...tools });
  a.getList("empty");
  note(Object.keys(a.toJSON()).sort());
  a.setHideEmptyRootContainers(true);
  note(Object.keys(a.toJSON()).sort());
  const text = a.getMap("m").get("l").get(1);
  note(a.getPathToContainer(text.id), a.getPathToContainer(a.getText("text").id), a.getPathToContainer("cid:7@7:Map"));
  attempt("no id", () => a.getPathToContainer("nonsense"));
  attempt("delete a root", () => a.deleteRootContainer(a.getText("text").id));
  note(Object.keys(a.toJSON()).sort());
  attempt("no root", () => a.deleteRootContainer("nonsense"));
  const { getType, isContainer, isContainerId, isValidContainerId, newContainerID, newRootContainerID, idStrToId } = tools;
  for (const value of [text, "x", 1, null, {}, { kind: () => "Map" }, [text]]) note(getType(value), isContainer(value));
  for (const value of [text.id, "cid:", "cid:root-x:Map", "x", "cid:1@2:Text", "cid:1@2:What"]) note(isContainerId(value), isValidContainerId(value));
  note(newContainerID({ peer: "1", counter: 2 }, "Map"), newRootContainerID("x", "Text"), idStrToId("5@77"));
});

same("version vectors", ({ note, attempt, doc, VersionVector }) => {
  const a = doc();
  a.getText("t").insert(0, "abc");
  const version = a.version();
  version.setEnd({ peer: "2", counter: 5 });
  version.setLast({ peer: "3", counter: 5 });
  note(version, version.get("2"), version.get(3n), version.length());
  version.remove("2");
  note(version, new VersionVector(version.encode()), new VersionVector(null), new VersionVector(new Map([["1", 2]])));
  note(version.compare(a.version()), a.version().compare(version), VersionVector.decode(version.encode()));
  note(new VersionVector([]), new VersionVector(), new VersionVector(new Map()));
  for (const bad of [7, "", {}, [["1", 2]], [0], new Uint8Array()]) attempt("bad", () => new VersionVector(bad));
  for (const from of [undefined, new VersionVector(null), a.version()]) note(a.export({ mode: "update", from }).length);
  note(a.export({ mode: "update" }).length);
  for (const from of [null, 1, "", [], {}, new Map()]) attempt("bad from", () => a.export({ mode: "update", from }));
  attempt("bad peer", () => version.remove("x"));
  attempt("bad id", () => version.setEnd({}));
  attempt("bad bytes", () => VersionVector.decode(new Uint8Array([255])));
});

same("what an export says of itself", ({ note, attempt, decodeImportBlobMeta, doc, ...tools }) => {
  const a = garden({ doc, ...tools });
  for (const mode of ["update", "snapshot"]) {
    const meta = decodeImportBlobMeta(a.export({ mode }), true);
    note({ ...meta, start: meta.partialStartVersionVector.toJSON(), end: meta.partialEndVersionVector.toJSON() });
  }
  attempt("bad", () => decodeImportBlobMeta(new Uint8Array([1, 2, 3]), true));
  attempt("batch", () => doc(2).importUpdateBatch([a.export({ mode: "update" })]));
});

same("awareness", ({ note, attempt, Awareness, AwarenessWasm }) => {
  const [a, b] = [new Awareness("1"), new Awareness("2")];
  const heard = [];
  const listener = (change, origin) => heard.push([change, origin]);
  b.addListener(listener);
  a.addListener((change, origin) => note("a", change, origin));
  a.setLocalState({ at: 1 });
  a.setLocalState({ at: 2, name: "é" });
  b.setLocalState("b");
  b.apply(a.encodeAll());
  b.apply(a.encode(["1"]), "mine");
  a.setLocalState(3);
  b.apply(a.encode(["1", "9"]));
  note(heard, b.getAllStates(), b.getLocalState(), b.peers().sort(), a.getLocalState());
  b.removeListener(listener);
  a.apply(b.encodeAll());
  note(heard.length, a.getAllStates());
  attempt("bad bytes", () => a.apply(new Uint8Array([7, 7, 7])));
  const inner = new AwarenessWasm(5, 30000);
  note(inner.peer(), inner.length(), inner.isEmpty(), inner.getState("5"), inner.getTimestamp("5"), inner.removeOutdated());
  inner.setLocalState([1]);
  note(inner.length(), inner.isEmpty(), inner.getState(5n), typeof inner.getTimestamp("5"), inner.peers());
  a.destroy();
  b.destroy();
});

/** What the original tells of a mark that ends inside a surrogate pair is not what it keeps. */
const boundary = (text, at) => (/[\udc00-\udfff]/.test(text.toString()[at] ?? "") ? at + 1 : at);

for (const seed of [31, 32, 33, 34]) {
  same(`any edits of any containers, seed ${seed}`, ({ doc, note, attempt, ...tools }) => {
    const pick = random(seed);
    const docs = [doc(1), doc(2)];
    const words = ["a", "😀", "xyz", "🦜é", ""];
    for (const [i, one] of docs.entries()) {
      one.configDefaultTextStyle({ expand: ["after", "none", "both", "before"][seed % 4] });
      one.subscribe((event) => note(i, event.by, event.origin, event.events.map((change) => [change.target, change.path, change.diff]).sort((x, y) => (x[0] < y[0] ? -1 : 1))));
    }
    const fresh = () => new tools[["LoroText", "LoroMap", "LoroList", "LoroMovableList", "LoroTree", "LoroCounter"][pick(6)]]();
    const value = () => [step, words[pick(5)], null, true, 0.5, [step], { k: step }, new Uint8Array([step % 256])][pick(8)];
    let step = 0;
    for (; step < 150; step += 1) {
      const one = docs[pick(2)];
      const at = pick(4);
      const [map, list, movable, text] = [one.getMap("m"), one.getList("l"), one.getMovableList("ml"), one.getText("t")];
      switch (pick(16)) {
        case 0: attempt("map", () => map.set(`k${at}`, value())); break;
        case 1: attempt("map container", () => map.setContainer(`k${at}`, fresh()).id); break;
        case 2: attempt("map delete", () => map.delete(`k${at}`)); break;
        case 3: attempt("list", () => list.insert(at, value())); break;
        case 4: attempt("list container", () => list.insertContainer(at, fresh()).id); break;
        case 5: attempt("list delete", () => list.delete(at, pick(3))); break;
        case 6: attempt("movable", () => movable.insert(at, value())); break;
        case 7: attempt("movable set", () => movable.set(at, value())); break;
        case 8: attempt("movable move", () => movable.move(at, pick(4))); break;
        case 9: attempt("movable container", () => movable.setContainer(at, fresh()).id); break;
        case 10: attempt("text", () => text.insert(at, words[pick(5)])); break;
        case 11: attempt("text delete", () => text.delete(at, pick(3))); break;
        case 12: attempt("mark", () => text.mark({ start: boundary(text, at), end: boundary(text, at + 1 + pick(3)) }, "b", pick(2) === 0)); break;
        case 13: attempt("pop", () => [list.pop(), movable.pop()]); break;
        case 14: attempt("update", () => text.update(words[pick(5)] + text.toString().replaceAll("a", "b"))); break;
        default: one.import(docs[one === docs[0] ? 1 : 0].export({ mode: "update", from: one.version() }));
      }
      if (pick(3) === 0) one.commit();
      note(one.toJSON(), text.toDelta());
    }
  });
}

test("names stay what they are: Loro is a LoroDoc, and a store without a timer is one", () => {
  const { EphemeralStore, EphemeralStoreWasm, Loro, LoroDoc } = corella;
  const doc = new Loro();
  doc.getText("t").insert(0, "x");
  assert.ok(doc instanceof LoroDoc);
  assert.equal(doc.constructor.name, "Loro");
  const inner = new EphemeralStoreWasm(1000);
  const heard = [];
  const end = inner.subscribe((event) => heard.push(event));
  assert.equal(inner.isEmpty(), true);
  inner.set("a", 1);
  end();
  inner.set("b", 2);
  assert.deepEqual(heard, [{ by: "local", added: ["a"], updated: [], removed: [] }]);
  const other = new EphemeralStore();
  assert.ok(other.inner instanceof EphemeralStoreWasm);
  other.apply(inner.encodeAll());
  assert.deepEqual(other.getAllStates(), { a: 1, b: 2 });
  inner.delete("a");
  other.inner.apply(inner.encode("a"));
  assert.deepEqual(other.keys(), ["b"]);
  const order = [];
  inner.subscribe((event) => {
    order.push(event.by + [...event.added, ...event.updated]);
    if (order.length === 2) inner.set("c", 2);
  });
  inner.subscribeLocalUpdates(() => order.push("bytes"));
  inner.set("c", 1);
  assert.deepEqual(order, ["bytes", "localc", "bytes", "localc"], "what a listener causes is told after what it was told");
  inner.removeOutdated();
  inner.free();
  other.destroy();
});
