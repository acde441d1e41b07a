// Two repos of the built package, joined in Node by a pair of sockets: what one hears of the other.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Repo, WebSocketAdapter } from "../../pkg/index.js";
import { code, sleep, until } from "./joining.mjs";

let pairs = 0;

/** Opens a relay without storage and a leaf, connected; ends them with the test. */
async function join(t, { relay = {}, leaf = {} } = {}) {
  const url = `ws://pair.test/${pairs++}`;
  const sockets = [new WebSocketAdapter({ url }), new WebSocketAdapter({ url })];
  const hub = await Repo.open({ identity: { name: "hub", type: "service" }, role: "relay", adapters: [sockets[0]], ...relay });
  const repo = await Repo.open({ identity: { name: "Ada" }, adapters: [sockets[1]], ...leaf });
  t.after(() => Promise.all([repo.close(), hub.close()]));
  await until("they know each other", () => repo.peers.length === 1 && hub.peers.length === 1);
  return { hub, repo, socket: sockets[1] };
}

const write = (handle, text) => handle.change((doc) => doc.getText("t").insert(0, text));
const read = (handle) => handle.doc.getText("t").toString();

test("a relay without a disk takes everything and proves hub, not hub-disk", async (t) => {
  const { hub, repo } = await join(t);
  const handle = repo.get("d");
  const counts = [];
  repo.on("unsynced-changed", ({ docId, unsynced }) => counts.push(`${docId} ${unsynced}`));
  write(handle, "hello");
  assert.equal(handle.durability, "memory");
  await handle.whenDurable("hub");
  assert.equal(handle.durability, "hub");
  assert.deepEqual([handle.unsynced, repo.unsynced], [0, 0]);
  assert.deepEqual(hub.list().map(({ docId }) => docId), ["d"]);
  assert.equal(read(hub.get("d")), "hello");
  await assert.rejects(handle.whenDurable("hub-disk", { timeout: 50 }), code("timeout"));
  await assert.rejects(handle.whenDurable("disk"), code("no-adapter"));
  await until("the listener has heard of it", () => counts.at(-1) === "d 0");
  assert.equal(counts[0], "d 5");
});

test("a leaf only lists what a relay has until it is opened", async (t) => {
  const { hub, repo } = await join(t);
  write(hub.get("d"), "x");
  await until("it is listed", () => repo.list().length === 1);
  assert.deepEqual(repo.list(), [{ docId: "d", open: false, loaded: false, stored: false }]);
  assert.throws(() => repo.create("d"), code("exists"));
  const handle = repo.get("d");
  await until("it has come", () => read(handle) === "x");
  assert.equal(handle.unsynced, 0);
});

test("what is edited offline is counted until the hub has it", async (t) => {
  const { repo, socket } = await join(t);
  const handle = repo.get("d");
  write(handle, "a");
  await handle.whenDurable("hub");
  socket.disconnect();
  await until("it is offline", () => repo.peers.length === 0);
  write(handle, "bc");
  await sleep(10);
  assert.deepEqual([handle.durability, handle.unsynced, repo.unsynced], ["memory", 2, 2]);
  const abort = new AbortController();
  const aborted = assert.rejects(handle.whenDurable("hub", { signal: abort.signal }), code("aborted"));
  const late = assert.rejects(handle.whenDurable("hub", { timeout: 20 }), code("timeout"));
  const whole = handle.whenDurable("hub", { timeout: 0 });
  abort.abort();
  await Promise.all([aborted, late]);
  socket.connect();
  await whole;
  assert.equal(repo.unsynced, 0);
});

test("waiting ends when the document is deleted, forgotten or replaced", async (t) => {
  const { repo, socket } = await join(t);
  socket.disconnect();
  await until("it is offline", () => repo.peers.length === 0);
  for (const end of [() => repo.delete("d"), () => repo.create("d", { replace: true }), () => repo.forget("d")]) {
    const handle = repo.create("d", { replace: true });
    write(handle, "x");
    const waits = [handle.waitForSync({ timeout: 0 }), handle.whenDurable("hub", { timeout: 0 })];
    const ended = Promise.all(waits.map((wait) => assert.rejects(wait, code("deleted"))));
    end();
    await ended;
  }
});

test("a deletion is taken by peers whose permission allows it, which is told the creator", async (t) => {
  const asked = [];
  const deletion = (doc, peer) => {
    asked.push({ id: doc.id, creator: doc.creator?.name, frozen: Object.isFrozen(doc) && Object.isFrozen(doc.creator), by: peer.name });
    return doc.creator?.name === peer.name;
  };
  const { hub, repo } = await join(t, { relay: { permissions: { deletion } } });
  const handle = repo.create("d");
  write(handle, "x");
  await handle.whenDurable("hub");
  const there = hub.get("d");
  const waiting = assert.rejects(there.whenDurable("hub-disk", { timeout: 0 }), code("deleted"));
  await repo.delete("d");
  await waiting;
  assert.deepEqual(asked, [{ id: "d", creator: "Ada", frozen: true, by: "Ada" }]);
  assert.throws(() => there.change(() => {}), code("deleted"));
  assert.throws(() => hub.get("d"), code("deleted"));

  const anew = repo.create("d", { replace: true });
  write(anew, "again");
  await anew.whenDurable("hub");
  assert.equal(read(hub.get("d")), "again");
});

test("without a permission of its own a repo keeps what a network peer deletes", async (t) => {
  const { hub, repo } = await join(t);
  const handle = repo.get("d");
  write(handle, "x");
  await handle.whenDurable("hub");
  const there = hub.get("d");
  await repo.delete("d");
  await sleep(50);
  write(there, "still ");
  assert.equal(read(there), "still x");
  assert.deepEqual(repo.list(), []);
});

test("a change a peer does not take is told with the reason, and goes through when permissions change", async (t) => {
  let closed = true;
  const { hub, repo } = await join(t, { relay: { permissions: { mutability: () => !closed } } });
  const refused = [];
  repo.on("refused", (event) => refused.push(event));
  const handle = repo.get("d");
  write(handle, "x");
  await until("it is refused", () => refused.length > 0);
  const { retryMs, ...event } = refused[0];
  assert.deepEqual(event, { type: "refused", docId: "d", peerId: hub.peerId, reason: "mutability" });
  assert.ok(retryMs > 0);
  assert.equal(handle.unsynced, 1);
  closed = false;
  hub.permissionsChanged();
  await handle.whenDurable("hub");
  assert.equal(handle.unsynced, 0);
  assert.equal(read(hub.get("d")), "x");
});

test("what may no longer be seen stops flowing, and what may be seen again is compared", async (t) => {
  const hidden = new Set();
  const { hub, repo } = await join(t, { relay: { permissions: { visibility: (doc) => !hidden.has(doc.id) } } });
  const there = hub.get("d");
  write(there, "a");
  const handle = repo.get("d");
  await until("it has come", () => read(handle) === "a");
  hidden.add("d");
  hub.permissionsChanged();
  write(there, "b");
  await sleep(50);
  assert.equal(read(handle), "a");
  hidden.delete("d");
  hub.permissionsChanged();
  await until("the rest has come", () => read(handle) === "ba");
});

test("permissionsChanged inside a hook is refused as every call is", async (t) => {
  let caught;
  const { repo } = await join(t, {
    leaf: {
      permissions: {
        visibility: () => {
          try {
            repo?.permissionsChanged();
          } catch (error) {
            caught = error;
          }
          return true;
        },
      },
    },
  });
  write(repo.get("d"), "x");
  await until("a hook was asked", () => caught !== undefined);
  assert.equal(caught.code, "reentrant");
});

test("a forgotten document comes back from who has it", async (t) => {
  const { repo } = await join(t);
  const handle = repo.get("d");
  write(handle, "kept by the hub");
  await handle.whenDurable("hub");
  await repo.forget("d");
  assert.deepEqual(repo.list(), []);
  const again = repo.get("d");
  await until("it is back", () => read(again) === "kept by the hub");
  assert.equal(again.unsynced, 0);
});
