// What code written for loro-crdt relies on at the edges: odd arguments, positions inside characters, options left out.
import assert from "node:assert/strict";
import { test } from "node:test";
import { corella, same } from "./reference/index.mjs";

test("a wrong root name is refused in the words code looks for", () => {
  const doc = new corella.LoroDoc();
  for (const name of ["a/b", "a\0b", ""]) {
    for (const kind of ["Text", "Map", "List", "MovableList", "Tree", "Counter"]) {
      assert.throws(() => doc[`get${kind}`](name), /^RepoError: Invalid root container name/);
    }
  }
});

test("what is no string is refused where one belongs, whatever it is", () => {
  const doc = new corella.LoroDoc();
  const map = doc.getMap("m");
  for (const value of [0, 1n, true, null, undefined, {}, ["k"], Symbol("k"), () => "k"]) {
    for (const call of [() => map.set(value, 1), () => map.get(value), () => doc.getText(value), () => doc.getText("t").insert(0, value)]) {
      assert.throws(call, (error) => error.code === "invalid-argument" && /^expected a string, not /.test(error.message));
    }
  }
  assert.deepEqual(doc.toJSON(), { m: {}, t: "" });
});

test("what belongs to the module is not stored as a value", () => {
  const doc = new corella.LoroDoc();
  const list = doc.getList("l");
  list.push("x");
  for (const value of [list, new corella.LoroMap(), list.getCursor(0), doc.version(), doc]) {
    assert.throws(() => list.push(value), { code: "invalid-argument" });
    assert.throws(() => doc.getMap("m").set("k", { in: [value] }), { code: "invalid-argument" });
  }
  assert.deepEqual(doc.toJSON(), { l: ["x"], m: {} });
});

const POSITIONS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 99, -1, 1.7, NaN, undefined, null];

for (const rich of [false, true]) {
  same(`positions inside and beyond the characters of a ${rich ? "rich" : "plain"} text`, ({ doc, note, attempt }) => {
    const fresh = () => {
      const made = doc();
      made.configTextStyle({ b: { expand: "after" }, k: { expand: "none" } });
      const text = made.getText("t");
      text.insert(0, "a😀b😀c");
      if (rich) text.mark({ start: 0, end: 3 }, "b", true);
      made.commit();
      return text;
    };
    for (const at of POSITIONS) {
      const run = (label, call) => {
        const text = fresh();
        attempt(`${label} ${at}`, () => call(text));
        note(text.toDelta());
      };
      run("insert", (text) => text.insert(at, "x"));
      run("charAt", (text) => text.charAt(at));
      run("editor", (text) => text.getEditorOf(at));
      run("cursor", (text) => text.getCursor(at));
      for (const side of [-1, 1, 2, "1", {}, null, false]) run(`cursor ${String(side)}`, (text) => text.getCursor(at, side)?.side());
      for (const unit of ["utf16", "utf8", "unicode", "bytes"]) {
        run(`from ${unit}`, (text) => text.convertPos(at, unit, "utf16"));
        run(`to ${unit}`, (text) => text.convertPos(at, "utf16", unit));
      }
      for (const length of [0, 1, 2, 3, 99]) {
        run(`delete ${length}`, (text) => text.delete(at, length));
        run(`slice ${length}`, (text) => text.slice(at, at + length));
        run(`sliceDelta ${length}`, (text) => text.sliceDelta(at, at + length));
        run(`splice ${length}`, (text) => text.splice(at, length, "x"));
        run(`mark ${length}`, (text) => text.mark({ start: at, end: at + length }, "k", 1));
        run(`unmark ${length}`, (text) => text.unmark({ start: at, end: at + length }, "b"));
        if (!(at >= 0)) continue;
        const rest = [{ retain: at }, { delete: length }].filter((step) => step.retain !== 0 && step.delete !== 0);
        run(`delta ${length}`, (text) => text.applyDelta(rest));
        run(`delta with a mark ${length}`, (text) => text.applyDelta([{ retain: at }, { retain: length, attributes: { k: 1 } }].filter((step) => step.retain > 0)));
      }
      if (at >= 0) run("delta", (text) => text.applyDelta([{ retain: at || 1 }, { insert: "x", attributes: { k: 2 } }]));
    }
    for (const delta of [[], [{ retain: 99 }], [{ insert: "x" }, { retain: 50 }], [{}], [{ retain: 7 }, { insert: "y" }], "x", null]) {
      const text = fresh();
      attempt("delta", () => text.applyDelta(delta));
      note(text.toDelta());
    }
  });
}

test("a mark that ends inside a character is told as it is kept", () => {
  const doc = new corella.LoroDoc();
  doc.configTextStyle({ k: { expand: "none" } });
  const text = doc.getText("t");
  text.insert(0, "a😀b😀c");
  doc.commit();
  const heard = [];
  doc.subscribe(({ events }) => heard.push(...events.map(({ diff }) => diff.diff)));
  text.mark({ start: 2, end: 5 }, "k", 1);
  text.mark({ start: 1, end: 2 }, "k", 2);
  doc.commit();
  assert.deepEqual(text.toDelta(), [
    { insert: "a" },
    { insert: "😀", attributes: { k: 2 } },
    { insert: "b😀", attributes: { k: 1 } },
    { insert: "c" },
  ]);
  assert.deepEqual(heard, [[{ retain: 1 }, { retain: 2, attributes: { k: 2 } }, { retain: 3, attributes: { k: 1 } }]]);
});

const ODD = [null, undefined, 5, "x", true, {}, [], [1]];

same("options that are none, or half of one", ({ doc, note, attempt }) => {
  const a = doc();
  const odd = (label, call) => ODD.forEach((value, i) => attempt(`${label} ${i}`, () => call(value)));
  odd("commit", (value) => {
    a.getText("t").insert(0, "x");
    a.commit(value);
  });
  odd("next commit", (value) => a.setNextCommitOptions(value));
  odd("styles", (value) => (Array.isArray(value) ? undefined : a.configTextStyle(value)));
  for (const style of [{}, null, 5, { expand: 5 }, { expand: "sideways" }, { expand: "both" }]) {
    attempt("style", () => a.configTextStyle({ b: style }));
    attempt("default style", () => a.configDefaultTextStyle(style));
  }
  odd("default style", (value) => a.configDefaultTextStyle(value));
  odd("update", (value) => (Array.isArray(value) ? undefined : a.getText("t").update("xyz", value)));
  odd("update by line", (value) => (Array.isArray(value) ? undefined : a.getText("t").updateByLine("x\ny", value)));
  odd("nodes", (value) => a.getTree("tree").getNodes(value).length);
  odd("container tree", (value) => (Array.isArray(value) ? undefined : Object.keys(a.toContainerTree(value)).sort()));
  for (const limit of [0, 7, -1, 1.5, NaN, Infinity, 2 ** 32, 2 ** 32 - 1, undefined, null]) {
    attempt("limit", () => a.setDecodedValueCacheLimit(limit));
    note(a.getDecodedValueCacheLimit());
  }
});

same("parts of lists, whatever their bounds", ({ doc, attempt, LoroList, LoroMovableList }) => {
  const a = doc();
  for (const list of [a.getList("l"), a.getMovableList("ml"), new LoroList(), new LoroMovableList()]) {
    for (const item of [1, "two", null]) list.push(item);
    for (const start of [0, 1, 2, 9, -1, 1.7, undefined]) {
      for (const end of [0, 1, 3, 9, -1, 2.2, undefined]) {
        attempt("values", () => list.getRangeValue(start, end));
        attempt("values with ids", () => list.getRangeDeepValueWithID(start, end));
        attempt("slice", () => list.toContainerTreeSlice(start, end));
      }
    }
  }
});

same("a document that is freed commits first, and its handles live on", ({ doc, note, attempt }) => {
  const a = doc();
  const text = a.getText("t");
  a.subscribe(({ by, events }) => note(by, events));
  text.subscribe(() => note("text"));
  a.subscribeLocalUpdates(() => note("bytes"));
  text.insert(0, "a😀");
  a.free();
  attempt("twice", () => a.free());
  attempt("read", () => a.toJSON());
  text.insert(0, "x");
  note(text.toString());
});
