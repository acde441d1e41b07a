// Ephemeral state of no document, beside the class of that name it stands in for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { corella, random, same } from "./reference/index.mjs";

const { now: realNow } = Date;

/** Runs `work` with a clock that stands until `tick` moves it. */
function clocked(work) {
  let now = 1_700_000_000_000;
  Date.now = () => now;
  try {
    work((ms) => void (now += ms));
  } finally {
    Date.now = realNow;
  }
}

for (const seed of [61, 62, 63, 64]) {
  same(`stores that exchange entries and let them lapse, seed ${seed}`, ({ note, attempt, EphemeralStoreWasm }) => {
    clocked((tick) => {
      const pick = random(seed);
      const stores = [new EphemeralStoreWasm(50), new EphemeralStoreWasm(80)];
      const sent = [];
      const sorted = ({ by, ...keys }) => [by, ...["added", "updated", "removed"].map((kind) => [...keys[kind]].sort())];
      const heard = [];
      for (const [i, store] of stores.entries()) {
        store.subscribe((event) => heard.push([i, sorted(event)]));
        store.subscribeLocalUpdates((bytes) => heard.push([i, [...bytes]]));
      }
      for (let step = 0; step < 200; step += 1) {
        tick(1 + pick(20));
        const store = stores[pick(2)];
        const key = `k${pick(3)}`;
        switch (pick(6)) {
          case 0:
          case 1: store.set(key, [step, null, { k: "😀" }, undefined][pick(4)]); break;
          case 2: store.delete(key); break;
          case 3: sent.push(pick(2) === 0 ? store.encode(key) : store.encodeAll()); break;
          case 4: if (sent.length > 0) attempt("apply", () => store.apply(sent[pick(sent.length)])); break;
          default: store.removeOutdated();
        }
        note(heard.splice(0));
        note(stores.map((one) => [one.isEmpty(), one.keys().sort(), Object.entries(one.getAllStates()).sort(), one.get(key), one.encodeAll().length]));
        note(stores.map((one) => ["k0", "k1", "k2", "k9"].map((each) => one.encode(each))));
      }
    });
  });
}

same("what a listener causes is told after what it was told, whoever has it to tell", ({ note, doc, EphemeralStore }) => {
  clocked((tick) => {
    const a = doc();
    const store = new EphemeralStore(1000);
    const other = new EphemeralStore(1000);
    const order = [];
    let first = true;
    store.subscribe((event) => {
      order.push(["store", event.by]);
      tick(1);
      if (!first) return;
      first = false;
      other.set("o", 1);
      a.getText("t").insert(0, "x");
      a.commit();
      store.delete("k");
      order.push(["end"]);
    });
    store.subscribeLocalUpdates(() => order.push(["bytes"]));
    other.subscribe(() => order.push(["other"]));
    a.subscribe(() => order.push(["doc"]));
    store.set("k", 1);
    note(order);
    const end = other.subscribe(() => note("ended too late"));
    end();
    end();
    other.set("o", 2);
    note(order.length);
    for (const each of [store, other]) each.destroy();
    store.set("k", 3);
    note(order.length);
  });
});

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

test("own entries lapse by themselves, and the timer runs only while there are some", async () => {
  const store = new corella.EphemeralStore(10);
  const heard = [];
  store.subscribe((event) => heard.push(event));
  for (let round = 0; round < 2; round += 1) {
    store.set("k", round);
    const deadline = Date.now() + 5_000;
    while (store.keys().length > 0) {
      assert.ok(Date.now() < deadline, "the entry has not lapsed");
      await sleep(5);
    }
    assert.deepEqual(heard.splice(0).filter(({ added, removed }) => added.length + removed.length > 0), [
      { by: "local", added: ["k"], updated: [], removed: [] },
      { by: "timeout", added: [], updated: [], removed: ["k"] },
    ]);
    await sleep(20);
    assert.deepEqual(heard.splice(0), []);
  }
  store.destroy();
});

test("every write within one millisecond reaches another store", () => {
  clocked(() => {
    const [a, b] = [new corella.EphemeralStore(), new corella.EphemeralStore()];
    a.subscribeLocalUpdates((bytes) => b.apply(bytes));
    for (let value = 0; value < 50; value += 1) {
      a.set("k", value);
      assert.equal(b.get("k"), value);
    }
    a.delete("k");
    assert.equal(b.get("k"), undefined);
    a.destroy();
    b.destroy();
  });
});

test("a store that is freed is of no more use, and its listeners are let go", () => {
  const store = new corella.EphemeralStoreWasm(1000);
  const end = store.subscribe(() => assert.fail("nothing happens any more"));
  store.free();
  assert.throws(() => store.set("k", 1));
  end();
});
