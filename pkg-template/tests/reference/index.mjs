// Runs one program on the built package and on the engine's own npm package, and compares everything it noted.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, rmdirSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import * as corella from "../../../pkg/index.js";

const here = fileURLToPath(new URL(".", import.meta.url));

/** Installs the locked reference once: test files run at the same time. */
function install() {
  const done = `${here}node_modules/.package-lock.json`;
  const busy = `${here}node_modules.installing`;
  const until = Date.now() + 120_000;
  while (!existsSync(done)) {
    try {
      mkdirSync(busy);
    } catch (error) {
      if (error.code !== "EEXIST" || Date.now() > until) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
      continue;
    }
    try {
      execFileSync("npm", ["ci", "--ignore-scripts", "--no-fund", "--no-audit"], { cwd: here, stdio: "ignore" });
    } finally {
      rmdirSync(busy);
    }
  }
}

install();
const reference = createRequire(import.meta.url)("loro-crdt");
await corella.init();

/** Makes a value comparable: handles become what they stand for, whatever the module. */
function plain(value) {
  if (value === undefined) return "undefined";
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return "function";
  if (value === null || typeof value !== "object") return Object.is(value, -0) ? 0 : value;
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (value instanceof Map) return { map: [...value].map(([key, item]) => [key, plain(item)]).sort() };
  if (Array.isArray(value)) return value.map(plain);
  const name = value.constructor?.name;
  if (typeof value.__getClassname === "function") return { node: value.id };
  if (name === "VersionVector") return { version: plain(value.toJSON()) };
  if (name === "Cursor") return { cursor: value.containerId(), pos: plain(value.pos()), side: value.side() };
  if (typeof value.kind === "function") return { container: value.kind(), id: value.id, value: plain(value.toJSON()) };
  const entries = Object.entries(value).map(([key, item]) => [key, plain(item)]);
  const out = Object.fromEntries(entries);
  return out.type === "text" && Array.isArray(out.diff) ? { ...out, diff: joined(out.diff) } : out;
}

/** Joins the steps of a delta: the engine joins consecutive edits by the unit it counts in. */
function joined(delta) {
  const out = [];
  for (const step of delta) {
    const last = out.at(-1);
    const kind = ["insert", "delete", "retain"].find((key) => key in step);
    const same = last !== undefined && kind in last && JSON.stringify(last.attributes) === JSON.stringify(step.attributes);
    if (same) last[kind] += step[kind];
    else out.push({ ...step });
  }
  return out;
}

function run(module, program) {
  const notes = [];
  const note = (...values) => void notes.push(plain(values));
  /** Notes what a call returns, or that it throws. */
  const attempt = (label, call) => {
    let result;
    try {
      result = call();
    } catch (error) {
      if (module === corella && !(error instanceof Error)) assert.fail(`${label} threw ${String(error)}, which is no Error`);
      return note(label, "throws");
    }
    note(label, result);
    return result;
  };
  /** Makes a document with a peer id everybody knows. */
  const doc = (peer = 1) => {
    const made = new module.LoroDoc();
    made.setPeerId(peer);
    return made;
  };
  program({ ...module, note, attempt, doc });
  return notes;
}

/** A test: the program must note the same with both packages. */
export function same(name, program) {
  test(name, () => {
    const expected = run(reference, program);
    const found = run(corella, program);
    assert.ok(expected.length > 0, "the program notes something");
    for (let i = 0; i < Math.max(expected.length, found.length); i += 1) assert.deepEqual(found[i], expected[i], `note ${i}`);
  });
}

/** Numbers that are the same for the same seed. */
export function random(seed) {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

export { corella, reference };
