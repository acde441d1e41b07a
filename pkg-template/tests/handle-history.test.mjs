// The history of a document of a repo: what each change says, page by page, and the versions in between.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LoroDoc, Repo, RepoError } from "../../pkg/index.js";

const code = (expected) => (error) => error instanceof RepoError && error.code === expected;

async function open(t, docId = "note") {
  const repo = await Repo.open();
  t.after(() => repo.close());
  return repo.get(docId);
}

const write = (handle, text, message) => handle.change((doc) => doc.getText("t").insert(doc.getText("t").length, text), { message });

/** What another author, who has what `handle` has, adds at the same time. */
function elsewhere(handle, peer, text) {
  const other = new LoroDoc();
  other.setPeerId(peer);
  other.import(handle.doc.export({ mode: "snapshot" }));
  other.getText("t").insert(0, text);
  other.commit({ message: `from ${peer}`, timestamp: 4_000_000_000 });
  return other.export({ mode: "update" });
}

test("a change says who made it, when, what for, how long it is and what it builds on", async (t) => {
  const handle = await open(t);
  const before = Math.floor(Date.now() / 1000) * 1000;
  write(handle, "a😀", "greeting");
  handle.doc.import(elsewhere(handle, 7n, "xyz"));
  write(handle, "!", "answer");
  const [answer, theirs, greeting, ...rest] = handle.history.page();
  assert.deepEqual(rest, []);
  const me = handle.doc.peerIdStr;
  assert.deepEqual([greeting.author, greeting.message, greeting.counter, greeting.length, greeting.lamport], [me, "greeting", 0, 2, 0]);
  assert.ok(greeting.time >= before && greeting.time <= Date.now() + 1000);
  assert.deepEqual(greeting.deps, []);
  assert.deepEqual(greeting.frontiers, [{ peer: me, counter: 1 }]);
  assert.deepEqual([theirs.author, theirs.message, theirs.time, theirs.lamport, theirs.length], ["7", "from 7", 4_000_000_000_000, 2, 3]);
  assert.deepEqual([answer.author, answer.message, answer.lamport], [me, "answer", 5]);
  assert.deepEqual(answer.deps, [{ peer: "7", counter: 2 }]);
  assert.equal(handle.history.length, 3);
  assert.equal(handle.history.end, 6);
  const old = handle.doc.forkAt(greeting.frontiers);
  assert.equal(old.getText("t").toString(), "a😀");
});

test("a time that was not recorded is undefined", async (t) => {
  const handle = await open(t);
  handle.doc.setRecordTimestamp(false);
  write(handle, "x");
  assert.equal(handle.history.page()[0].time, undefined);
});

test("pages follow one another without gaps, also while the document changes", async (t) => {
  const handle = await open(t);
  for (let i = 0; i < 25; i += 1) write(handle, "x", `change ${i}`);
  const first = handle.history.page({ limit: 10 });
  write(handle, "y", "late");
  const second = handle.history.page({ limit: 10, before: first.at(-1) });
  const third = handle.history.page({ limit: 10, before: second.at(-1) });
  const names = [...first, ...second, ...third].map(({ message }) => message);
  assert.deepEqual(names, Array.from({ length: 25 }, (_, i) => `change ${24 - i}`));
  assert.deepEqual(handle.history.page({ before: third.at(-1) }), []);
  assert.deepEqual([...handle.history].length, 26);
  assert.equal(handle.history.page()[0].message, "late");
});

test("every Lamport time is a version, from nothing to everything", async (t) => {
  const handle = await open(t);
  write(handle, "one ");
  handle.doc.import(elsewhere(handle, 9n, "two "));
  write(handle, "three");
  const { history, doc } = handle;
  assert.deepEqual(history.at(0), []);
  const old = doc.fork();
  const seen = [];
  for (let lamport = 0; lamport <= history.end; lamport += 1) {
    old.checkout(history.at(lamport));
    seen.push(old.getText("t").toString());
  }
  assert.deepEqual([seen[0], seen[2], seen[4], seen[8], seen.at(-1)], ["", "on", "one ", "two one ", "two one three"]);
  assert.deepEqual(new Set(seen).size, seen.length);
  old.checkout(history.at(history.end + 1000));
  assert.equal(old.getText("t").toString(), "two one three");
  assert.equal(doc.isDetached(), false);
});

test("an old version comes back as a new edit", async (t) => {
  const handle = await open(t);
  write(handle, "first", "first");
  write(handle, " second", "second");
  const [, first] = handle.history.page();
  handle.change((doc) => doc.revertTo(first.frontiers), { message: "back" });
  assert.equal(handle.doc.getText("t").toString(), "first");
  assert.equal(handle.history.page()[0].message, "back");
  assert.equal(handle.history.length, 3);
});

test("what is not committed is not history", async (t) => {
  const handle = await open(t);
  handle.doc.getText("t").insert(0, "pending");
  assert.deepEqual(handle.history.page(), []);
  assert.equal(handle.doc.getPendingTxnLength(), 7);
  handle.doc.commit();
  assert.equal(handle.history.page().length, 1);
});

test("bad arguments are refused", async (t) => {
  const { history } = await open(t);
  for (const options of [{ limit: 0 }, { limit: 1.5 }, { limit: "9" }, { before: {} }, { before: { lamport: 1, author: "me" } }, { before: { lamport: -1, author: "1" } }, null, 5]) {
    assert.throws(() => history.page(options), code("invalid-argument"), JSON.stringify(options));
  }
  assert.throws(() => history.page({ before: { lamport: 1, author: String(2n ** 64n) } }), code("invalid-argument"));
  for (const lamport of [-1, 1.5, Number.NaN, 2 ** 32, "1", undefined]) assert.throws(() => history.at(lamport), code("invalid-argument"));
});
