// LoroTree and LoroTreeNode beside the engine's own package.
import assert from "node:assert/strict";
import { test } from "node:test";
import { corella, random, same } from "./reference/index.mjs";

same("nodes are made, moved, deleted and found", ({ doc, note, attempt }) => {
  const a = doc();
  const tree = a.getTree("t");
  const root = tree.createNode();
  const first = root.createNode();
  const second = root.createNode(0);
  const third = tree.createNode(root.id, 1);
  first.data.set("name", "first");
  second.data.set("at", { x: 1, y: [true, null] });
  note(tree.kind(), tree.id, root.id, first.id, root.children(), root.parent(), first.parent(), first.index(), second.index());
  note(tree.toJSON(), tree.toArray(), tree.getShallowValue(), root.toJSON());
  note(first.children(), first.creator(), first.creationId(), first.getLastMoveId(), first.fractionalIndex(), first.data.parent());
  first.move(second);
  third.moveAfter(root);
  second.moveBefore(third);
  note(tree.toJSON(), second.index(), third.getLastMoveId());
  first.move();
  attempt("to an index", () => tree.move(first.id, undefined, 0));
  attempt("out of range", () => tree.move(first.id, undefined, 9));
  attempt("under itself", () => root.move(root));
  attempt("created too far", () => root.createNode(5));
  attempt("bad id", () => tree.delete("nonsense"));
  attempt("bad parent", () => tree.createNode("9@9"));
  tree.delete(second.id);
  note(tree.has(second.id), tree.has("9@9"), tree.has("x"), tree.isNodeDeleted(second.id), second.isDeleted(), root.isDeleted());
  attempt("deleted or not?", () => tree.isNodeDeleted("9@9"));
  note(tree.getNodeByID(second.id), tree.getNodeByID("9@9"), tree.getNodeByID("x"), second.parent());
  attempt("data of a deleted node", () => [second.data.toJSON(), second.toJSON(), second.index(), second.fractionalIndex()]);
  attempt("deleted again", () => tree.delete(second.id));
  attempt("child of a deleted node", () => second.createNode());
  note(tree.getNodes(), tree.getNodes({ withDeleted: true }).length, tree.nodes().length, tree.roots());
  note(tree.isFractionalIndexEnabled());
  tree.disableFractionalIndex();
  note(tree.isFractionalIndexEnabled());
  attempt("unordered", () => tree.createNode());
  attempt("at an index", () => tree.createNode(undefined, 0));
  tree.enableFractionalIndex(0);
  note(a.toJSON(), a.getShallowValue(), tree.isDeleted(), tree.isAttached(), tree.parent(), tree.getAttached());
});

same("a tree may be detached, nested and attached", ({ doc, note, attempt, LoroTree, LoroMap }) => {
  const tree = new LoroTree();
  note(tree.id, tree.isAttached(), tree.getAttached());
  const root = tree.createNode();
  const child = root.createNode();
  child.data.set("k", 1);
  note(root.children(), child.parent(), child.index(), tree.roots(), tree.nodes().length);
  attempt("fractional index", () => root.fractionalIndex());
  attempt("subscribe", () => tree.subscribe(() => {}));
  const a = doc();
  const map = a.getMap("m").setContainer("inner", new LoroMap());
  const attached = map.setContainer("tree", tree);
  note(attached, attached.toJSON(), attached.parent(), tree.isAttached(), tree.getAttached());
  note(a.getPathToContainer(attached.id), a.getPathToContainer(attached.roots()[0].data.id));
  note(a.getByPath("m/inner/tree"));
  const b = doc(2);
  b.import(a.export({ mode: "snapshot" }));
  note(b.toJSON(), b.getTree(attached.id).toArray());
  attempt("another type", () => b.getTree(a.getMap("m").id));
  attempt("unknown", () => b.getTree("cid:9@9:Tree"));
});

same("events of trees", ({ doc, note }) => {
  const a = doc();
  const b = doc(2);
  const tree = a.getTree("t");
  a.subscribe((event) => note("a", event.by, event.origin, event.events, event.from, event.to));
  b.subscribe((event) => note("b", event.by, event.events));
  tree.subscribe((event) => note("tree", event.currentTarget, event.events));
  a.subscribeLocalUpdates((bytes) => b.import(bytes));
  const root = tree.createNode();
  const child = root.createNode();
  a.commit();
  child.move(undefined, 0);
  child.data.set("k", "v");
  a.commit({ origin: "mine" });
  tree.delete(root.id);
  a.commit();
  child.createNode().createNode();
  a.commit();
  b.getTree("t").createNode(child.id);
  b.commit();
  a.import(b.export({ mode: "update", from: a.version() }));
  a.checkout([{ peer: "1", counter: 1 }]);
  a.checkoutToLatest();
  note(a.toJSON(), b.toJSON());
});

for (const seed of [1, 2, 3, 4, 5, 6]) {
  same(`two trees converge, seed ${seed}`, ({ doc, note, attempt }) => {
    const docs = [doc(1), doc(2)];
    const pick = random(seed);
    docs.forEach((one, i) => one.subscribe((event) => note(i, event.by, event.events, event.from, event.to)));
    for (let step = 0; step < 120; step += 1) {
      const one = docs[pick(2)];
      const tree = one.getTree("t");
      const nodes = tree.getNodes();
      const some = () => nodes[pick(nodes.length)];
      switch (nodes.length === 0 ? 0 : pick(7)) {
        case 0: attempt("create", () => tree.createNode()); break;
        case 1: attempt("child", () => some().createNode(pick(2) ? pick(3) : undefined)); break;
        case 2: attempt("move", () => some().move(pick(3) ? some() : undefined, pick(2) ? pick(3) : undefined)); break;
        case 3: attempt("after", () => some().moveAfter(some())); break;
        case 4: attempt("before", () => some().moveBefore(some())); break;
        case 5: attempt("delete", () => tree.delete(some().id)); break;
        default: attempt("data", () => some().data.set(`k${pick(3)}`, step));
      }
      if (pick(3) === 0) one.commit();
      if (pick(8) === 0) one.import(docs[one === docs[0] ? 1 : 0].export({ mode: "update", from: one.version() }));
      note(tree.toJSON());
    }
    docs[0].import(docs[1].export({ mode: "snapshot" }));
    docs[1].import(docs[0].export({ mode: "snapshot" }));
    note(docs[0].toJSON(), docs[0].getTree("t").toArray(), docs[1].getTree("t").getNodes({ withDeleted: true }).length);
  });
}

test("nodes and trees of another copy of a module are refused in words", async () => {
  const { LoroDoc, LoroMap, LoroTree } = corella;
  const tree = new LoroDoc().getTree("t");
  const node = tree.createNode();
  assert.throws(() => node.move({ id: node.id }), /LoroTreeNode/);
  assert.throws(() => node.moveAfter({ id: node.id }), /LoroTreeNode/);
  const map = new LoroDoc().getMap("m");
  assert.throws(() => map.set("k", new LoroTree()), /setContainer/);
  assert.throws(() => map.setContainer("k", { __wbg_ptr: 8, kind: () => "Tree" }), /this copy/);
  assert.throws(() => new LoroTree().toArray(), /detached/);
  assert.ok(node.data instanceof LoroMap);
});

test("a tree deeper than the stack is described", () => {
  const tree = new corella.LoroDoc().getTree("t");
  let node = tree.createNode();
  for (let depth = 0; depth < 20_000; depth += 1) node = node.createNode();
  let described = tree.toArray();
  let depth = 0;
  for (; described.length > 0; depth += 1) described = described[0].children;
  assert.equal(depth, 20_001);
});
