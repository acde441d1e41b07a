// Loads the wasm module, once, however often and from wherever it is asked for.
import load, { initSync as loadSync, __setErrorFactory } from "./corella.js";
import { completeClasses } from "./document.js";
import { RepoError } from "./errors.js";

let loading;
let loaded = false;

function finish() {
  loaded = true;
  completeClasses();
  __setErrorFactory((code, message, cause) => new RepoError(code, message, cause === undefined ? undefined : { cause }));
}

async function source() {
  const url = new URL("corella_bg.wasm", import.meta.url);
  // Node's fetch does not read files.
  if (url.protocol === "file:" && typeof process !== "undefined" && process.versions?.node) {
    const { readFile } = await import(/* @vite-ignore */ "node:fs/promises");
    return readFile(url);
  }
  return url;
}

/** Loads the module. Optional before `Repo.open`, needed before a bare `new LoroDoc()`. */
export async function init(wasm) {
  if (loaded) return;
  loading ??= (async () => {
    await load({ module_or_path: wasm ?? (await source()) });
    finish();
  })();
  try {
    await loading;
  } catch (error) {
    loading = undefined;
    throw error;
  }
}

/** Loads the module from its bytes, at once. */
export function initSync(bytes) {
  if (loaded) return;
  loadSync({ module: bytes });
  finish();
}
