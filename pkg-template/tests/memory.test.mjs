// What is opened and dropped leaves no memory behind: the module's memory stops growing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { LoroDoc, Repo, init } from "../../pkg/index.js";
import * as glue from "../../pkg/corella.js";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc");
await init();
const { memory } = await glue.default();

/** Lets what is unreachable be collected and its finalizers run. */
async function collect() {
  for (let i = 0; i < 3; i += 1) {
    gc();
    await new Promise((resolve) => setTimeout(resolve));
  }
}

/**
 * Does the work of each part and asserts that there comes a time from which on half as many parts add less than a tenth. When what was
 * dropped is collected is not for us to say: a late collection is a step, and no slope.
 */
async function plateau(parts, part) {
  const sizes = [];
  const grows = () => sizes.length < parts || sizes.at(-1) > sizes.at(-1 - parts / 2) * 1.1;
  for (let i = 0; grows() && i < 3 * parts; i += 1) {
    await part(i);
    await collect();
    sizes.push(memory.buffer.byteLength);
  }
  assert.ok(!grows(), `the memory grows: ${sizes.map((size) => Math.round(size / 1024)).join(", ")} KiB`);
}

test("a million handles of containers, made and dropped", async () => {
  const doc = new LoroDoc();
  doc.getMap("m").setContainer("list", new glue.LoroList()).insert(0, "word");
  const text = doc.getText("t");
  text.insert(0, "text");
  const id = text.id;
  doc.commit();
  await plateau(20, () => {
    for (let i = 0; i < 10_000; i += 1) {
      doc.getText("t");
      doc.getMap("m");
      doc.getContainerById(id);
      doc.getMap("m").get("list");
    }
  });
});

test("ten thousand documents of their own, edited and dropped, some freed, some listened to", async () => {
  let heard = 0;
  await plateau(10, (part) => {
    for (let i = 0; i < 1000; i += 1) {
      const doc = new LoroDoc();
      if (i % 3 === 0) doc.subscribe(() => (heard += 1));
      doc.getText("t").insert(0, `document ${part} ${i}`);
      doc.getList("l").push(i);
      doc.commit();
      doc.toJSON();
      if (i % 2 === 0) doc.free();
    }
  });
  assert.ok(heard > 0);
});

test("versions, cursors, undo managers and trees of nodes, made and dropped", async () => {
  const doc = new LoroDoc();
  const text = doc.getText("t");
  text.insert(0, "some text");
  const root = doc.getTree("tree").createNode();
  for (let i = 0; i < 20; i += 1) root.createNode().data.set("n", i);
  doc.commit();
  await plateau(20, () => {
    for (let i = 0; i < 200; i += 1) {
      doc.version();
      text.getCursor(3);
      doc.getTree("tree").getNodes();
      root.children();
      doc.toJSON();
      doc.export({ mode: "update" });
    }
    for (let i = 0; i < 20; i += 1) new glue.UndoManager(doc, {}).free();
  });
});

test("listeners that come and go", async () => {
  const doc = new LoroDoc();
  const map = doc.getMap("m");
  await plateau(10, (part) => {
    for (let i = 0; i < 1000; i += 1) {
      const ends = [doc.subscribe(() => {}), map.subscribe(() => {}), doc.subscribeLocalUpdates(() => {})];
      map.set("k", part * 1000 + i);
      doc.commit();
      for (const end of ends) end();
    }
  });
});

test("repos that come and go, with documents and presence", async () => {
  await plateau(10, async () => {
    for (let i = 0; i < 20; i += 1) {
      const repo = await Repo.open();
      for (let d = 0; d < 5; d += 1) {
        const handle = repo.get(`d${d}`);
        handle.subscribe(() => {});
        handle.change((doc) => doc.getText("t").insert(0, "x".repeat(1000)));
        handle.ephemeral("cursors").set("at", 1);
        handle.close();
      }
      await repo.close();
    }
  });
});

test("`using` ends handles of every class", () => {
  const dispose = Symbol.dispose ?? Symbol.for("Symbol.dispose");
  const classes = ["LoroDoc", "LoroText", "LoroMap", "LoroList", "LoroMovableList", "LoroTree", "LoroTreeNode", "LoroCounter", "VersionVector", "Cursor", "UndoManager"];
  for (const name of classes) assert.equal(typeof glue[name].prototype[dispose], "function", `${name} has no Symbol.dispose`);
});
