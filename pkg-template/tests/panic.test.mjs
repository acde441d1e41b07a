// What a panic costs: one call and the copy of one document. The package under test panics when told to, with the engine's locks held.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import * as corella from "../../pkg-failpoints/index.js";
import load, { __failpoint } from "../../pkg-failpoints/corella.js";
import { SocketPair } from "./socket-pair.mjs";

const { Repo, LoroDoc, RepoError, WebSocketAdapter } = corella;
await corella.init();

// The module prints what a panic says; these are meant.
console.error = () => {};
globalThis.WebSocket = SocketPair;

const code = (expected) => (error) => error instanceof RepoError && error instanceof Error && error.code === expected;
const turn = () => new Promise((resolve) => setTimeout(resolve));
// Timers of closed repos end by themselves, but the process need not wait for them.
const { setTimeout: timer } = globalThis;
globalThis.setTimeout = (work, ms, ...rest) => {
  const id = timer(work, ms, ...rest);
  return ms < 2_000 ? id : id.unref();
};
async function until(met, what) {
  // A peer whose data could not be imported is left alone for ten seconds.
  const deadline = Date.now() + 60_000;
  while (!met()) {
    assert.ok(Date.now() < deadline, `never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

let addresses = 0;
/** Two repos, connected. */
async function pair() {
  const url = `ws://pair/${(addresses += 1)}`;
  const open = (role) => Repo.open({ role, adapters: [new WebSocketAdapter({ url })] });
  return [await open("leaf"), await open("leaf")];
}
const text = (handle) => handle.doc.getText("t");
const type = (handle, what) => handle.change(() => text(handle).insert(0, what));

beforeEach(() => {
  __failpoint("text.insert", 0);
  __failpoint("import", 0);
});

// A module built for size keeps no texts of panics.
const said = /^a defect of corella ended this call: (.*failpoint text\.insert|unreachable$)/s;

test("a panic in a call is that call's error, with what it said", () => {
  const doc = new LoroDoc();
  __failpoint("text.insert", 1);
  assert.throws(
    () => doc.getText("t").insert(0, "x"),
    (error) => code("panic")(error) && said.test(error.message) && error.cause instanceof WebAssembly.RuntimeError,
  );
});

test("the document of its own that panicked is closed, and every other works", () => {
  const broken = new LoroDoc();
  const sound = new LoroDoc();
  const heard = [];
  sound.subscribe((event) => heard.push(event.by));
  const inside = broken.getText("t");
  __failpoint("text.insert", 1);
  assert.throws(() => inside.insert(0, "x"), code("panic"));
  assert.throws(() => inside.insert(0, "x"), code("closed"));
  assert.throws(() => broken.toJSON(), code("closed"));
  assert.throws(() => broken.export({ mode: "snapshot" }), code("closed"));
  sound.getText("t").insert(0, "fine");
  sound.commit();
  assert.deepEqual(sound.toJSON(), { t: "fine" });
  assert.deepEqual(heard, ["local"]);
  broken.free();
});

test("the stack survives any number of panics in one task", async () => {
  const sound = new LoroDoc();
  const stack = (await load()).__stack_pointer;
  const bottom = stack.value;
  for (let i = 0; i < 1000; i += 1) {
    __failpoint("text.insert", 1);
    const doc = new LoroDoc();
    assert.throws(() => doc.getText("t").insert(0, "x"), code("panic"));
    sound.getText("t").insert(0, "y");
    sound.commit();
    assert.equal(stack.value, bottom);
  }
  assert.equal(sound.getText("t").toString().length, 1000);
});

test("a panic inside a listener ends that listener's call and nothing else", async () => {
  const outer = new LoroDoc();
  const inner = new LoroDoc();
  const errors = [];
  let heard = 0;
  outer.subscribe(() => {
    __failpoint("text.insert", 1);
    try {
      inner.getText("t").insert(0, "x");
    } catch (error) {
      errors.push(error.code);
    }
  });
  outer.subscribe(() => (heard += 1));
  for (let i = 0; i < 300; i += 1) {
    outer.getMap("m").set("k", i);
    outer.commit();
  }
  assert.equal(errors.length, 300);
  assert.deepEqual([...new Set(errors)], ["panic", "closed"]);
  assert.equal(heard, 300);
  assert.deepEqual(outer.toJSON(), { m: { k: 299 } });
});

test("a handle whose document panicked is closed, and the repo opens it again with what its peer has", async () => {
  const [here, there] = await pair();
  const [a, other] = [here.get("a"), here.get("other")];
  const [b, elsewhere] = [there.get("a"), there.get("other")];
  type(a, "kept ");
  type(other, "one ");
  await until(() => text(b).toString() === "kept " && text(elsewhere).toString() === "one ", "both documents at the peer");
  const reported = [];
  here.on("error", (event) => reported.push([event.docId, event.error.code]));
  const old = text(a);
  __failpoint("text.insert", 1);
  assert.throws(() => type(a, "lost"), code("panic"));

  assert.throws(() => a.change(() => {}), code("closed"));
  assert.throws(() => a.doc, code("closed"));
  assert.throws(() => old.insert(0, "x"), code("closed"));
  await assert.rejects(a.waitForSync(), code("closed"));
  const again = here.get("a");
  assert.notEqual(again, a);
  await until(() => text(again).toString() === "kept ", "the document is back");
  assert.deepEqual(reported, [["a", "panic"]]);

  type(again, "more ");
  type(other, "two ");
  type(elsewhere, "three ");
  await until(() => text(b).toString() === "more kept ", "its edits reach the peer again");
  await until(() => text(other).toString() === text(elsewhere).toString() && text(other).length === 14, "the other document syncs");
  a.close();
  assert.equal(here.get("a"), again);
  await Promise.all([here.close(), there.close()]);
});

test("a panic while a peer's data is imported concerns no other document, and the data comes again", async () => {
  const [here, there] = await pair();
  const [a, other, b, elsewhere] = [here.get("a"), here.get("other"), there.get("a"), there.get("other")];
  type(b, "first ");
  await until(() => text(a).toString() === "first ", "synced");
  const reported = [];
  here.on("error", (event) => reported.push([event.docId, event.error.code]));
  __failpoint("import", 1);
  type(b, "second ");
  await until(() => reported.length > 0, "the panic is reported");
  assert.deepEqual(reported, [["a", "panic"]]);
  assert.throws(() => a.change(() => {}), code("closed"));
  type(elsewhere, "meanwhile ");
  await until(() => text(other).toString() === "meanwhile ", "the other document syncs");
  const again = here.get("a");
  await until(() => text(again).toString() === "second first ", "everything is back");
  type(again, "third ");
  await until(() => text(b).toString() === "third second first ", "and goes on");
  await Promise.all([here.close(), there.close()]);
});

test("who waits for a document that is lost is told, and a flush does not wait for ever", async () => {
  const [here, there] = await pair();
  const a = here.get("a");
  type(a, "x");
  const waiting = a.whenDurable("hub-disk", { timeout: 0 });
  waiting.catch(() => {});
  __failpoint("text.insert", 1);
  assert.throws(() => type(a, "y"), code("panic"));
  await assert.rejects(waiting, code("closed"));
  await here.flush();
  await turn();
  await Promise.all([here.close(), there.close()]);
});
