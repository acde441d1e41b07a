// Makes the use of a class before the module is loaded a sentence that says what to do, instead of a TypeError.
import { readFileSync, writeFileSync } from "node:fs";

const path = process.argv[2];
const glue = readFileSync(path, "utf8");
const declaration = /^let (wasmModule, )?(wasmInstance, )?wasm;$/m;
if (!declaration.test(glue)) throw new Error("the glue no longer declares `let …wasm;`: adapt scripts/guard-glue.mjs");
const guard = `import { RepoError } from "./errors.js";
const notLoaded = new Proxy({}, {
  get() {
    throw new RepoError("not-loaded", 'corella is not loaded yet: first await Repo.open(…), or await init(), the default export of "corella" and "corella/loro"');
  },
});`;
let guarded = glue.replace(declaration, (line) => `${guard}\n${line.replace(/wasm;$/, "wasm = notLoaded;")}`);
// The glue asks whether it is loaded by comparing with undefined.
guarded = guarded.replace(/if \(wasm !== undefined\) return wasm;/g, "if (wasm !== notLoaded) return wasm;");
// While it was being fetched, it may have been loaded from bytes: there is one instance only.
const finishing = /^( *)return __wbg_finalize_init\(instance, module\);$/gm;
if (guarded.match(finishing)?.length !== 2) throw new Error("the glue no longer ends its two ways of loading alike: adapt scripts/guard-glue.mjs");
guarded = guarded.replace(finishing, "$1if (wasm !== notLoaded) return wasm;\n$&");
writeFileSync(path, guarded);
