// UndoManager beside the engine's own package.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { corella, random, same } from "./reference/index.mjs";

same("steps, their metadata and cursors", ({ doc, note, attempt, UndoManager }) => {
  const a = doc();
  const text = a.getText("t");
  const order = [];
  a.subscribe((event) => note("event", event.by, event.origin, event.events));
  const undo = new UndoManager(a, {
    mergeInterval: 0,
    maxUndoSteps: 10,
    excludeOriginPrefixes: ["sys:"],
    onPush: (isUndo, range, event) => {
      note("push", isUndo, range, event);
      return { value: { n: order.push("push") }, cursors: [text.getCursor(text.length)] };
    },
    onPop: (isUndo, meta, range) => note("pop", isUndo, meta.value, meta.cursors.map((cursor) => a.getCursorPos(cursor)), range),
  });
  note(undo.peer(), undo.canUndo(), undo.canRedo(), undo.isPaused());
  text.insert(0, "a😀b");
  note("pending", undo.canUndo());
  a.commit();
  text.insert(3, "🦜c");
  a.commit();
  text.delete(1, 2);
  a.commit({ origin: "sys:x" });
  text.insert(0, "-");
  a.commit();
  note(undo.topUndoValue(), undo.topRedoValue(), text.toString());
  for (const step of ["undo", "undo", "redo", "undo", "undo", "undo", "redo", "redo", "redo", "redo"]) {
    attempt(step, () => undo[step]());
    note(text.toString(), undo.canUndo(), undo.canRedo(), undo.topUndoValue(), undo.topRedoValue());
  }
  text.insert(0, "pending");
  attempt("undo commits", () => undo.undo());
  note(text.toString());
  undo.clearRedo();
  note(undo.canUndo(), undo.canRedo());
  undo.clearUndo();
  note(undo.canUndo(), undo.canRedo());
  undo.pause();
  text.push("!");
  a.commit();
  note(undo.isPaused(), undo.canUndo());
  undo.resume();
  undo.setOnPush();
  undo.setOnPop();
  text.push("?");
  a.commit();
  note(undo.canUndo(), undo.undo(), text.toString());
  undo.clear();
  note(undo.canRedo());
});

same("groups and intervals join steps", ({ doc, note, attempt, UndoManager }) => {
  const a = doc();
  const list = a.getList("l");
  const pushed = [];
  const undo = new UndoManager(a, { mergeInterval: 0, onPush: (isUndo, range) => (pushed.push([isUndo, range]), { value: pushed.length, cursors: [] }) });
  undo.groupStart();
  attempt("twice", () => undo.groupStart());
  for (let i = 0; i < 3; i += 1) {
    list.push(i);
    a.commit();
  }
  undo.groupEnd();
  note(pushed, undo.topUndoValue());
  undo.undo();
  note(list.toJSON(), pushed);
  undo.redo();
  note(list.toJSON(), undo.topUndoValue());
  undo.setMergeInterval(1e9);
  list.push("x");
  a.commit();
  list.push("y");
  a.commit();
  undo.addExcludeOriginPrefix("no");
  list.push("z");
  a.commit({ origin: "nobody" });
  undo.setMaxUndoSteps(1);
  attempt("undo", () => undo.undo());
  note(list.toJSON());
});

same("what listeners of undo may do", ({ doc, note, UndoManager }) => {
  const a = doc();
  const map = a.getMap("m");
  const undo = new UndoManager(a, {});
  undo.setMergeInterval(0);
  undo.setOnPush((isUndo) => {
    note("push sees", isUndo, a.toJSON(), undo.canUndo());
    return { value: { seen: map.get("k") }, cursors: [] };
  });
  undo.setOnPop((isUndo, meta) => note("pop sees", isUndo, meta, a.toJSON()));
  for (const value of [1, 2, 3]) {
    map.set("k", value);
    a.commit();
  }
  undo.undo();
  undo.undo();
  undo.redo();
  note(a.toJSON(), undo.topUndoValue(), undo.topRedoValue());
});

for (const seed of [11, 12, 13, 14]) {
  same(`undo among others' edits, seed ${seed}`, ({ doc, note, attempt, UndoManager }) => {
    const docs = [doc(1), doc(2)];
    const pick = random(seed);
    const undos = docs.map((one, i) => {
      if (i === 0) one.subscribe((event) => note("event", event.by, event.events));
      return new UndoManager(one, {
        mergeInterval: 0,
        onPush: (isUndo, range, event) => {
          note(i, "push", isUndo, range, event?.events);
          const text = one.getText("t");
          return { value: pick(100), cursors: [text.getCursor(Math.floor(text.length / 2) && 0, 0)].filter(Boolean) };
        },
        onPop: (isUndo, meta, range) => note(i, "pop", isUndo, range, meta.value, meta.cursors.map((cursor) => one.getCursorPos(cursor)?.offset)),
      });
    });
    const words = ["a", "😀", "xyz", "🦜é", "\n"];
    for (let step = 0; step < 100; step += 1) {
      const i = pick(2);
      const one = docs[i];
      const text = one.getText("t");
      const points = [0, ...[...text.toString()].map((char, at, all) => all.slice(0, at + 1).join("").length)];
      switch (pick(6)) {
        case 0:
        case 1: text.insert(points[pick(points.length)], words[pick(words.length)]); break;
        case 2: {
          const [from, to] = [points[pick(points.length)], points[pick(points.length)]].sort((a, b) => a - b);
          if (to > from) text.delete(from, to - from);
          break;
        }
        case 3: attempt("undo", () => undos[i].undo()); break;
        case 4: attempt("redo", () => undos[i].redo()); break;
        default: one.import(docs[1 - i].export({ mode: "update", from: one.version() }));
      }
      if (pick(2)) one.commit();
      note(text.toString());
    }
  });
}

test("a listener of undo that throws is reported and stops nothing", () => {
  const entry = new URL("../../pkg/index.js", import.meta.url).href;
  const program = `
    import { LoroDoc, UndoManager, init } from ${JSON.stringify(entry)};
    process.on("unhandledRejection", (error) => console.log("reported", error.message));
    await init();
    const doc = new LoroDoc();
    const undo = new UndoManager(doc, { mergeInterval: 0 });
    undo.setOnPush(() => { throw new Error("of the listener"); });
    doc.getText("t").insert(0, "x");
    doc.commit();
    console.log(undo.undo());`;
  const out = execFileSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  assert.equal(out, "true\nreported of the listener\nreported of the listener\n");
});

test("a manager that was freed hears nothing more, and is refused where a document is expected", () => {
  const { LoroDoc, UndoManager } = corella;
  const doc = new LoroDoc();
  let heard = 0;
  const undo = new UndoManager(doc, { onPush: () => void heard++ });
  doc.getMap("m").set("k", 1);
  doc.commit();
  undo.free();
  doc.getMap("m").set("k", 2);
  doc.commit();
  assert.equal(heard, 1);
  assert.throws(() => new UndoManager({ __wbg_ptr: 8 }, {}), Error);
});
