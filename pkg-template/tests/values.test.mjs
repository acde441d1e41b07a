// Whole documents as plain values: what the fast way cannot carry crosses the other way, and nobody sees a difference.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LoroDoc, LoroList, LoroMap, init } from "../../pkg/index.js";

await init();

const odd = {
  quotes: 'a "quoted" \\ word',
  control: "\u0000\u0001\t\n\u001f\u007f\u2028",
  astral: "🦜 é 漢",
  empty: "",
  numbers: [0, 1.5, -1e300, 5e-324, 1e21, 2 ** 53, -(2 ** 53), 123456789012],
  nothing: [null, true, false, [], {}],
  "key \" with \\ everything \n": 1,
  10: "ten",
  9: "nine",
};
const beyond = { bytes: new Uint8Array([1, 2, 255]), numbers: [NaN, Infinity, -Infinity] };

test("toJSON gives what was set, whatever it is", () => {
  for (const value of [odd, beyond, { ...odd, ...beyond }]) {
    const doc = new LoroDoc();
    doc.getMap("m").set("value", value);
    doc.getList("l").push(value);
    const inner = doc.getMap("m").setContainer("inner", new LoroMap());
    inner.set("value", value);
    inner.setContainer("list", new LoroList()).push(value);
    assert.deepEqual(doc.toJSON(), { m: { value, inner: { value, list: [value] } }, l: [value] });
    assert.deepEqual(doc.getMap("m").toJSON(), doc.toJSON().m);
    assert.deepEqual(doc.getList("l").toJSON(), [value]);
  }
});

test("a key called __proto__ is a key like any other", () => {
  const doc = new LoroDoc();
  doc.getMap("m").set("__proto__", { polluted: true });
  const json = doc.getMap("m").toJSON();
  assert.deepEqual(Object.keys(json), ["__proto__"]);
  assert.equal(json.polluted, undefined);
});

test("what toJSON gives is the caller's own", () => {
  const doc = new LoroDoc();
  doc.getMap("m").set("list", [1]);
  doc.toJSON().m.list.push(2);
  assert.deepEqual(doc.toJSON(), { m: { list: [1] } });
});
