// `history` of Repo.open, and documents whose history begins later: where, and how all of it comes back when an old edit needs it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LoroDoc, Repo, WebSocketAdapter } from "../../pkg/index.js";
import { code, until } from "./joining.mjs";

const text = (handle) => handle.doc.getText("text").toString();
const write = (handle, content) => handle.change((doc) => doc.getText("text").insert(doc.getText("text").length, content));

test("what is no length of a history is refused, and what is one is taken", async () => {
  const bad = [7, "none", null, [], { keep: 7 }, { keep: "some" }, { keep: null }, { keep: {} }, { keep: { days: -1 } }, { keep: { days: NaN } }];
  for (const history of [...bad, { keep: { days: "7" } }, { keep: { days: 1, hours: 2 } }, { keep: "all", more: 1 }]) {
    await assert.rejects(Repo.open({ history }), code("invalid-argument"), JSON.stringify(history));
  }
  for (const keep of ["all", undefined, { days: 0 }, { days: 0.5 }, { days: 30 }, { days: Infinity }]) {
    await (await Repo.open({ history: { keep } })).close();
  }
});

test("without storage the history stays whole, however little is to be kept", async (t) => {
  const repo = await Repo.open({ history: { keep: { days: 0 } } });
  t.after(() => repo.close());
  const handle = repo.get("d");
  for (let n = 0; n < 20; n += 1) write(handle, `${n} `);
  await repo.flush();
  assert.deepEqual(handle.history.begins, []);
  assert.equal(handle.doc.isShallow(), false);
});

test("an edit from before a trimmed history makes the whole come back, with what nobody else has seen", async (t) => {
  const url = "ws://trimmed.test/1";
  const hub = await Repo.open({ identity: { name: "hub", type: "service" }, role: "relay", adapters: [new WebSocketAdapter({ url })] });
  t.after(() => hub.close());
  const there = hub.get("d");
  for (let n = 0; n < 10; n += 1) write(there, `${n} `);
  const away = new LoroDoc();
  away.import(there.doc.export({ mode: "snapshot" }));
  for (let n = 10; n < 20; n += 1) write(there, `${n} `);
  const begins = there.doc.frontiers();
  write(there, "end ");

  const socket = new WebSocketAdapter({ url });
  const repo = await Repo.open({ history: { keep: { days: 0 } }, adapters: [socket] });
  t.after(() => repo.close());
  const renewed = [];
  repo.on("document-renewed", (event) => renewed.push(event));
  const handle = repo.get("d");
  handle.doc.import(there.doc.export({ mode: "shallow-snapshot", frontiers: begins }));
  assert.deepEqual(handle.history.begins, begins);
  assert.equal(text(handle), text(there));
  write(handle, "mine ");
  await until("the hub has it", () => text(there) === text(handle));
  assert.ok(handle.doc.isShallow(), "nothing asked for more");

  socket.disconnect();
  write(handle, "unsent ");
  const before = handle.doc;
  away.getText("text").insert(0, "old ");
  away.commit();
  there.doc.import(away.export({ mode: "update" }));
  write(there, "theirs ");
  socket.connect();
  await until("both have everything", () => text(there) === text(handle) && text(handle).includes("old ") && text(there).includes("unsent "));
  assert.deepEqual(renewed, [{ type: "document-renewed", docId: "d" }]);
  assert.notEqual(handle.doc, before);
  assert.deepEqual(handle.history.begins, []);
  assert.throws(() => before.getText("text").insert(0, "lost"), "an edit nobody would keep is an error");
  write(handle, "after ");
  await until("it goes on", () => text(there) === text(handle) && text(there).includes("after "));
});
