// Every entry of the package, in Node: one instance behind all of them, loaded when it is imported.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const pkg = fileURLToPath(new URL("../../pkg", import.meta.url));
const BUILDS = ["web", "bundler", "nodejs", "base64", "browser"];

// An application with the package installed, and beside it a library that was written for loro-crdt.
const app = mkdtempSync(join(tmpdir(), "corella-entries."));
after(() => rmSync(app, { recursive: true }));
const write = (file, text) => {
  mkdirSync(dirname(join(app, file)), { recursive: true });
  writeFileSync(join(app, file), text);
};
mkdirSync(join(app, "node_modules"));
symlinkSync(pkg, join(app, "node_modules/corella"));
write("package.json", JSON.stringify({ type: "module" }));
write("node_modules/binding/package.json", JSON.stringify({ name: "binding", type: "module", exports: { ".": "./index.js", "./old": "./old.cjs" } }));
write("node_modules/binding/index.js", 'export { LoroDoc } from "loro-crdt"; export { default, initSync, LoroText } from "loro-crdt/web";');
write("node_modules/binding/old.cjs", 'exports.LoroDoc = require("loro-crdt").LoroDoc; exports.LoroMap = require("loro-crdt/nodejs").LoroMap;');

let count = 0;
/** Runs a program of the application and returns what it printed. */
function run(program, { flags = [], kind = "mjs" } = {}) {
  const file = `main${(count += 1)}.${kind}`;
  write(file, program);
  return execFileSync(process.execPath, [...flags, file], { cwd: app, encoding: "utf8" }).trim();
}

const ENTRIES = ["corella", "corella/loro", ...BUILDS.map((build) => `corella/${build}`)];

test("every entry is loaded when it is imported, and all are one instance", () => {
  for (const entry of ENTRIES) {
    const program = `
      import init, { LoroDoc } from "${entry}";
      const doc = new LoroDoc();
      doc.getText("t").insert(0, "a🐦b");
      console.log(doc.getText("t").length, typeof init);`;
    assert.equal(run(program), "4 function", entry);
  }
  const program = `
    import * as first from "${ENTRIES[0]}";
    const entries = await Promise.all(${JSON.stringify([...ENTRIES, `${pkg}/index.js`, `${pkg}/loro.js`])}.map((entry) => import(entry)));
    console.log(entries.every((entry) => Object.keys(entries[1]).every((name) => entry[name] === first[name] && first[name] !== undefined)));`;
  assert.equal(run(program), "true");
});

test("the entry of the document API has what loro-crdt has, and nothing of the repo", async () => {
  const corella = await import("../../pkg/index.js");
  const loro = await import("../../pkg/loro.js");
  const only = Object.keys(corella).filter((name) => !(name in loro));
  assert.deepEqual(only.sort(), ["BroadcastChannelAdapter", "Catalogue", "Collection", "DocHandle", "IndexedDBAdapter", "RateLimiter", "Repo", "WebSocketAdapter"]);
});

test("code written for loro-crdt's web build runs unchanged", () => {
  const program = `
    import init, * as loro from "corella/web";
    import { readFileSync } from "node:fs";
    const bytes = readFileSync(new URL(import.meta.resolve("corella/web/loro_wasm_bg.wasm")));
    await init();
    await init({ module_or_path: bytes });
    loro.initSync({ module: bytes });
    console.log(new loro.LoroDoc().getMap("m").kind());`;
  assert.equal(run(program), "Map");
});

test("require gives the instance that import gives", { skip: !process.features.require_module && "this Node cannot require ES modules" }, () => {
  const program = `
    const corella = require("corella");
    const { LoroDoc, default: init } = require("corella/loro");
    import("corella/nodejs").then((loro) => console.log(loro.LoroDoc === LoroDoc, corella.LoroDoc === LoroDoc, loro.init === init, new LoroDoc().opCount()));`;
  assert.equal(run(program, { kind: "cjs" }), "true true true 0");
});

test("with corella/register a library that asks for loro-crdt gets the same instance", () => {
  const flags = ["--import", "corella/register"];
  const program = `
    import { createRequire } from "node:module";
    import init, { LoroDoc, LoroText } from "binding";
    import * as corella from "corella";
    console.log(LoroDoc === corella.LoroDoc, LoroText === corella.LoroText, init === corella.init);
    if (process.features.require_module) {
      const old = createRequire(import.meta.url)("binding/old");
      console.log(old.LoroDoc === LoroDoc, old.LoroMap === corella.LoroMap);
    } else console.log("true true");`;
  assert.equal(run(program, { flags }), "true true true\ntrue true");
});

test("the table of aliases names every entry of loro-crdt and leads to entries that exist", async () => {
  const { aliases, default: table } = await import("../../pkg/aliases.js");
  assert.equal(aliases, table);
  assert.deepEqual(Object.keys(aliases).filter((name) => !name.endsWith(".wasm")), [...BUILDS.map((build) => `loro-crdt/${build}`), "loro-crdt"]);
  const { resolve } = createRequire(join(app, "main.cjs"));
  for (const entry of Object.values(aliases)) assert.ok(resolve(entry).startsWith(pkg), entry);
});

// What a browser gets, run where nothing of Node can be reached.
const elsewhere = (program) => run(`
  import { readFileSync } from "node:fs";
  const bytes = readFileSync(${JSON.stringify(join(pkg, "corella_bg.wasm"))});
  process.getBuiltinModule = undefined;
  const { default: init, initSync, LoroDoc, EphemeralStore, RepoError } = await import("corella/loro");
  const { LoroDoc: same, Repo } = await import("corella");
  const check = (ok) => { if (!ok) throw new Error("not so"); };
  const caught = (work) => { try { work(); } catch (error) { return error; } };
  const rejected = (promise) => promise.then(() => undefined, (error) => error);
  check(same === LoroDoc);
  ${program}
  console.log("done");`, { flags: ["--conditions=browser"] });

test("importing touches no global of a browser, with Node's file system or without", () => {
  for (const prelude of ["", "process.getBuiltinModule = undefined;"]) {
    const program = `
      ${prelude}
      for (const name of ["window", "self", "document", "location", "navigator", "indexedDB", "WebSocket", "BroadcastChannel", "Worker", "fetch", "localStorage"]) {
        Object.defineProperty(globalThis, name, { get() { throw new Error(name + " was touched"); } });
      }
      await import("corella");
      await import("corella/loro");
      console.log("untouched");`;
    assert.equal(run(program, { flags: ["--conditions=browser"] }), "untouched");
  }
});

test("use before init throws a sentence that says what to do", () => {
  const program = `
    for (const work of [() => new LoroDoc(), () => new EphemeralStore(), () => LoroDoc.fromSnapshot(new Uint8Array())]) {
      const error = caught(work);
      check(error instanceof RepoError && error.code === "not-loaded" && /await Repo\\.open.*await init/.test(error.message));
    }
    await init(bytes);
    check(new LoroDoc().opCount() === 0);`;
  assert.equal(elsewhere(program), "done");
});

test("init takes bytes, a module, a response, an address, or a promise of one", () => {
  for (const given of [
    "bytes",
    "bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)",
    "new WebAssembly.Module(bytes)",
    "Promise.resolve(bytes)",
    'new Response(bytes, { headers: { "content-type": "application/wasm" } })',
    `new URL(${JSON.stringify(`file://${pkg}/corella_bg.wasm`)})`,
    `"file://${pkg}/corella_bg.wasm"`,
    "{ module_or_path: Promise.resolve(bytes) }",
    "undefined",
  ]) {
    assert.equal(elsewhere(`await init(${given}); check(new LoroDoc().opCount() === 0);`), "done", given);
  }
});

test("what was loaded stays, however and how often it is loaded again", () => {
  const program = `
    const early = init();
    initSync(bytes);
    const doc = new LoroDoc();
    doc.getList("l").push("kept");
    await early;
    await Promise.all([init(), init(bytes), init("nowhere:/at-all")]);
    initSync({ module: bytes });
    await (await Repo.open()).close();
    check(doc.toJSON().l[0] === "kept");`;
  assert.equal(elsewhere(program), "done");
});

test("a load that fails says why, and can be repeated", () => {
  const program = `
    check((await rejected(init(7))).code === "invalid-argument");
    check(caught(() => initSync("/corella_bg.wasm")).code === "invalid-argument");
    for (const bad of [new Response("", { status: 404 }), new Uint8Array(8), "nowhere:/at-all"]) {
      const error = await rejected(init(bad));
      check(error instanceof RepoError && error.code === "not-loaded" && error.cause instanceof Error);
    }
    await init(bytes);
    check(new LoroDoc().opCount() === 0);`;
  assert.equal(elsewhere(program), "done");
});
