// Judging what peers send, by two repos of the built package, joined in Node by a pair of sockets.
import assert from "node:assert/strict";
import { test } from "node:test";
import { RateLimiter, Repo, WebSocketAdapter } from "../../pkg/index.js";
import { code, sleep, until } from "./joining.mjs";

let pairs = 0;

/** Opens a relay that judges and a leaf, connected; ends them with the test. */
async function join(t, admission) {
  const url = `ws://admission.test/${pairs++}`;
  const sockets = [new WebSocketAdapter({ url }), new WebSocketAdapter({ url })];
  const hub = await Repo.open({ identity: { name: "hub", type: "service" }, role: "relay", adapters: [sockets[0]], admission });
  const errors = [];
  hub.on("error", ({ error }) => errors.push(error));
  const repo = await Repo.open({ identity: { name: "Ada" }, adapters: [sockets[1]] });
  const refusals = [];
  repo.on("refused", ({ docId, peerId, reason, retryMs }) => refusals.push({ docId, from: peerId === hub.peerId, reason, retryMs }));
  t.after(() => Promise.all([repo.close(), hub.close()]));
  await until("they know each other", () => repo.peers.length === 1 && hub.peers.length === 1);
  return { hub, repo, errors, refusals };
}

const write = (handle, text) => handle.change((doc) => doc.getText("t").insert(0, text));
const read = (handle) => handle.doc.getText("t").toString();

test("wrong admissions and limits are refused at the call", async () => {
  for (const admission of [7, {}, null, [() => true, "x"], [[]]]) await assert.rejects(Repo.open({ admission }), code("invalid-argument"));
  for (const options of [
    undefined,
    {},
    { messagesPerSecond: 0 },
    { messagesPerSecond: "7" },
    { messagesPerSecond: Infinity },
    { messagesPerSecond: 1, burst: 0 },
    { messagesPerSecond: 1, byteBurst: 5 },
    { messagesPerSecond: 1, kinds: ["nonsense"] },
    { messagesPerSecond: 1, kinds: "update" },
    { messages: 1 },
  ]) {
    assert.throws(() => new RateLimiter(options), code("invalid-argument"), JSON.stringify(options));
  }
  await (await Repo.open({ admission: new RateLimiter({ messagesPerSecond: 0.5 }) })).close();
  await (await Repo.open({ admission: [] })).close();
});

test("an admission gets plain frozen data about every message, and handshakes are none", async (t) => {
  const seen = [];
  const { hub, repo, errors } = await join(t, (message) => {
    seen.push(message);
    return true;
  });
  const handle = repo.get("d");
  write(handle, "x".repeat(1000));
  await handle.whenDurable("hub");
  assert.equal(read(hub.get("d")).length, 1000);
  assert.ok(seen.length > 0);
  for (const message of seen) {
    assert.ok(Object.isFrozen(message) && Object.isFrozen(message.peer));
    assert.equal(typeof message.bytes, "number");
    assert.deepEqual({ ...message.peer, channelId: 0 }, { peerId: repo.peerId, name: "Ada", type: "user", channelId: 0, kind: "network" });
    assert.ok(!message.kind.startsWith("establish") && message.kind !== "batch");
  }
  const data = seen.filter(({ kind, docId, bytes }) => kind === "give" && docId === "d" && bytes > 50);
  assert.ok(data.length > 0, seen.map(({ kind, bytes }) => `${kind} ${bytes}`).join());
  assert.deepEqual(errors, []);
});

test("what is refused does not come, its sender is told why and when, and it comes once it may", async (t) => {
  let open = false;
  const { hub, repo, refusals } = await join(t, ({ docId }) => open || docId !== "d" || { reason: "too-large", retryMs: 300 });
  const handle = repo.get("d");
  write(handle, "late");
  await until("the refusal has come", () => refusals.length > 0);
  assert.deepEqual(refusals[0], { docId: "d", from: true, reason: "too-large", retryMs: 300 });
  assert.deepEqual([hub.list(), handle.durability], [[], "memory"]);
  write(repo.get("other"), "x");
  await repo.get("other").whenDurable("hub");
  open = true;
  await handle.whenDurable("hub", { timeout: 5_000 });
  assert.equal(read(hub.get("d")), "late");
});

test("false refuses as unauthorized", async (t) => {
  const { repo, refusals } = await join(t, async ({ docId }) => docId !== "d");
  write(repo.get("d"), "x");
  await until("the refusal has come", () => refusals.length > 0);
  assert.equal(refusals[0].reason, "unauthorized");
});

test("answers that come late keep the order", async (t) => {
  const order = [];
  const { hub, repo } = await join(t, async ({ kind, docId }) => {
    order.push(kind);
    await sleep(Math.random() * 20);
    return docId !== "secret";
  });
  const handle = repo.get("d");
  write(handle, "first");
  await handle.whenDurable("hub");
  for (let n = 0; n < 50; n++) {
    write(handle, `${n % 10}`);
    await sleep(1);
  }
  await handle.whenDurable("hub");
  assert.equal(read(hub.get("d")), read(handle));
  assert.ok(order.length > 1);
});

test("what throws, rejects or gives nonsense refuses, and is reported once", async (t) => {
  const answers = [
    () => {
      throw new Error("oops");
    },
    () => Promise.reject(new Error("oops")),
    () => undefined,
    () => "yes",
    () => ({ reason: "because" }),
    async () => ({ retryMs: -1 }),
    async () => null,
  ];
  for (const answer of answers) {
    const { repo, errors, refusals } = await join(t, ({ docId }) => docId !== "d" || answer());
    write(repo.get("d"), "x");
    await until("the refusal has come", () => refusals.length > 0);
    await sleep(20);
    assert.equal(refusals[0].reason, "unauthorized", String(answer));
    assert.equal(errors.length, 1, String(answer));
    assert.ok(["refused", "invalid-argument"].includes(errors[0].code));
    if (errors[0].code === "refused") assert.equal(errors[0].cause.message, "oops");
  }
});

test("a repo must not be called inside an admission, but may be after an await", async (t) => {
  let hub;
  const inside = [];
  const later = [];
  const joined = await join(t, async () => {
    try {
      hub?.list();
    } catch (error) {
      inside.push(error.code);
    }
    await undefined;
    if (hub) later.push(hub.list().length);
    return true;
  });
  hub = joined.hub;
  const handle = joined.repo.get("d");
  write(handle, "x");
  await handle.whenDurable("hub");
  assert.ok(inside.length > 0 && inside.every((found) => found === "reentrant"), inside.join());
  assert.ok(later.length > 0);
  assert.deepEqual(joined.errors, []);
});

test("a limiter slows a peer down and loses nothing, and stands beside a function", async (t) => {
  const seen = [];
  const limiter = new RateLimiter({ messagesPerSecond: 20, burst: 5 });
  const { hub, repo, refusals } = await join(t, [limiter, ({ kind }) => seen.push(kind) > 0]);
  const began = Date.now();
  const handle = repo.get("d");
  write(handle, "x");
  await handle.whenDurable("hub");
  for (let n = 1; n < 100; n++) {
    write(handle, "x");
    await sleep(2);
  }
  await handle.whenDurable("hub", { timeout: 8_000 });
  assert.equal(read(hub.get("d")).length, 100);
  assert.ok(refusals.some(({ reason, retryMs }) => reason === "rate-limited" && retryMs <= 50), JSON.stringify(refusals));
  const granted = 5 + ((Date.now() - began + 1_000) * 20) / 1000;
  assert.ok(seen.length <= granted, `${seen.length} messages, ${granted} granted`);
});
