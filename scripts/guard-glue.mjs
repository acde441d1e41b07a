// Makes of the generated glue what the package promises: the use of a class before the module is loaded is a sentence that says what to do, and a
// panic is an error of the call it happened in.
import { readFileSync, writeFileSync } from "node:fs";

const path = process.argv[2];
const glue = readFileSync(path, "utf8");
const adapt = (what) => {
  throw new Error(`${what}: adapt scripts/guard-glue.mjs`);
};
const declaration = /^let (wasmModule, )?(wasmInstance, )?wasm;$/m;
if (!declaration.test(glue)) adapt("the glue no longer declares `let …wasm;`");
const guard = `import { RepoError } from "./errors.js";
const notLoaded = new Proxy({}, {
  get() {
    throw new RepoError("not-loaded", 'corella is not loaded yet: first await Repo.open(…), or await init(), the default export of "corella" and "corella/loro"');
  },
});

// A panic ends in a trap. What is on the module's stack then stays there, unless the outermost call puts the stack back.
let calls = 0, stack, bottom, panicked = (error) => error;
export function __onPanic(handler) {
  panicked = handler;
}
function isTrap(error) {
  return error instanceof WebAssembly.RuntimeError || (error instanceof RangeError && /stack/.test(error.message)) || error?.name === "InternalError";
}
function failed(error, self) {
  if (calls === 1 && stack) stack.value = bottom;
  return isTrap(error) ? panicked(error, self) : error;
}
// A call from inside another is the other's to report.
function failedInside(error) {
  return calls === 1 ? failed(error) : error;
}
function dropped(free) {
  return (pointer) => {
    calls++;
    try {
      free(pointer);
    } catch (error) {
      failed(error);
    } finally {
      calls--;
    }
  };
}`;
let guarded = glue.replace(declaration, (line) => `${guard}\n${line.replace(/wasm;$/, "wasm = notLoaded;")}`);
// The glue asks whether it is loaded by comparing with undefined.
guarded = guarded.replace(/if \(wasm !== undefined\) return wasm;/g, "if (wasm !== notLoaded) return wasm;");
// While it was being fetched, it may have been loaded from bytes: there is one instance only.
const finishing = /^( *)return __wbg_finalize_init\(instance, module\);$/gm;
if (guarded.match(finishing)?.length !== 2) adapt("the glue no longer ends its two ways of loading alike");
guarded = guarded.replace(finishing, "$1if (wasm !== notLoaded) return wasm;\n$&");
if (!guarded.includes("    wasm = instance.exports;\n")) adapt("the glue no longer takes `instance.exports`");
guarded = guarded.replace("    wasm = instance.exports;\n", "    wasm = instance.exports;\n    stack = wasm.__stack_pointer;\n    bottom = stack?.value;\n");
guarded = guarded.replace(/new FinalizationRegistry\((ptr => wasm\.__wbg_\w+_free\(ptr, 1\))\)/g, "new FinalizationRegistry(dropped($1))");
// An object whose call ended in a trap counts as in use for ever: freeing it is no error then.
guarded = guarded.replace(/(wasm\.__wbg_\w+_free\(ptr), 0\)/g, "$1, 1)");

// Every way into the module counts, and catches.
const LEAF = /^(__wbindgen_(free|malloc|realloc|exn_store|start|destroy_closure)|__externref_\w+|__wbg_\w+_free)$/;
const lines = guarded.split("\n");
const out = [];
let end;
let body = [];
let failure;
for (const line of lines) {
  if (end === undefined) {
    const method = /^    (static )?(get |set )?[\w$]+\([^)]*\) \{$/.test(line);
    const own = /^export function \w+\([^)]*\) \{$/.test(line) && !line.includes("__onPanic");
    const closure = /^function wasm_bindgen\w*__convert__closures\w+\([^)]*\) \{$/.test(line);
    if (method || own || closure) {
      end = method ? "    }" : "}";
      failure = closure ? "failedInside(e)" : own ? "failed(e)" : "failed(e, this)";
    } else {
      for (const [, name] of line.matchAll(/\bwasm\.(\w+)\(/g)) if (!LEAF.test(name)) adapt(`the glue calls ${name} in a place of its own`);
    }
    out.push(line);
  } else if (line === end) {
    const enters = body.some((text) => /\bwasm\.\w+\(/.test(text));
    out.push(...(enters ? ["calls++; try {", ...body, `} catch (e) { throw ${failure}; } finally { calls--; }`] : body), line);
    end = undefined;
    body = [];
  } else {
    body.push(line);
  }
}
writeFileSync(path, out.join("\n"));
