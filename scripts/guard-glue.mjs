// Makes the use of a class before the module is loaded a sentence that says what to do, instead of a TypeError.
import { readFileSync, writeFileSync } from "node:fs";

const path = process.argv[2];
const glue = readFileSync(path, "utf8");
const declaration = /^let (wasmModule, )?(wasmInstance, )?wasm;$/m;
if (!declaration.test(glue)) throw new Error("the glue no longer declares `let …wasm;`: adapt scripts/guard-glue.mjs");
const guard = `const notLoaded = new Proxy({}, {
  get() {
    throw new Error("corella is not loaded yet: await Repo.open(…) or await init() first");
  },
});`;
let guarded = glue.replace(declaration, (line) => `${guard}\n${line.replace(/wasm;$/, "wasm = notLoaded;")}`);
// The glue asks whether it is loaded by comparing with undefined.
guarded = guarded.replace(/if \(wasm !== undefined\) return wasm;/g, "if (wasm !== notLoaded) return wasm;");
writeFileSync(path, guarded);
