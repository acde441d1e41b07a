// Loads the wasm module, once, however often and from wherever it is asked for. In Node it is loaded while this is imported.
import load, { initSync as loadSync, __onPanic, __setErrorFactory } from "./corella.js";
import { completeClasses } from "./document.js";
import { RepoError, invalid } from "./errors.js";
import { completeExtras } from "./extras.js";
import { panicked } from "./panics.js";

let loading;
let loaded = false;

function finish() {
  if (loaded) return;
  loaded = true;
  completeClasses();
  completeExtras();
  __onPanic(panicked);
  __setErrorFactory((code, message, cause) => new RepoError(code, message, cause === undefined ? undefined : { cause }));
}

const inNode = () => typeof process !== "undefined" && typeof process.versions?.node === "string";

/** loro-crdt's way of giving the module: the only key of an object. */
function unwrapped(given, key) {
  return typeof given === "object" && given !== null && Object.getPrototypeOf(given) === Object.prototype ? given[key] : given;
}

const isBytes = (value) => value instanceof ArrayBuffer || ArrayBuffer.isView(value) || value instanceof WebAssembly.Module;
const is = (value, name) => typeof globalThis[name] === "function" && value instanceof globalThis[name];

/** What to load: bytes, a module or a response, or where to fetch them. */
async function source(given) {
  const wasm = (await given) ?? new URL("corella_bg.wasm", import.meta.url);
  if (!isBytes(wasm) && typeof wasm !== "string" && !["URL", "Request", "Response"].some((name) => is(wasm, name))) {
    throw invalid("init takes the bytes of corella_bg.wasm, a WebAssembly.Module, a Response, an address or a promise of one of these");
  }
  // Node's fetch does not read files.
  if (inNode() && String(wasm).startsWith("file:")) {
    const { readFile } = await import(/* @vite-ignore */ /* webpackIgnore: true */ "node:fs/promises");
    return readFile(new URL(wasm));
  }
  return wasm;
}

/** Loads the module. Optional before `Repo.open` and in Node, needed before a bare `new LoroDoc()` elsewhere. */
export async function init(wasm) {
  if (loaded) return;
  loading ??= (async () => {
    const module_or_path = await source(unwrapped(wasm, "module_or_path"));
    try {
      await load({ module_or_path });
    } catch (cause) {
      throw new RepoError("not-loaded", `corella_bg.wasm could not be loaded: ${cause.message ?? cause}`, { cause });
    }
    finish();
  })();
  try {
    await loading;
  } catch (error) {
    loading = undefined;
    // It may have been loaded by other means since.
    if (!loaded) throw error;
  }
}

/** Loads the module from its bytes, at once. */
export function initSync(wasm) {
  if (loaded) return;
  const module = unwrapped(wasm, "module");
  if (!isBytes(module)) throw invalid("initSync takes the bytes of corella_bg.wasm or a WebAssembly.Module; init() finds them by itself");
  loadSync({ module });
  finish();
}

/** Loads the module from the package's folder. Where it cannot be read, as in a bundle without it, `init` is left to be called. */
export function loadInNode(fs) {
  if (loaded || fs === undefined) return;
  let bytes;
  try {
    bytes = fs.readFileSync(new URL("corella_bg.wasm", import.meta.url));
  } catch {
    return;
  }
  initSync(bytes);
}

if (inNode()) loadInNode(process.getBuiltinModule?.("node:fs"));
