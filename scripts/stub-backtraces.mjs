// Takes what prints a stack out of a wasm module: the engine would print one if an environment variable asked for it, and a page has no environment.
// Reading mangled names of Rust functions alone is 15 kB.
//
//   node scripts/stub-backtraces.mjs corella_bg.wasm        with its names, which tell what is what
import { readFileSync, writeFileSync } from "node:fs";
import { read, write } from "./wasm.mjs";

const PRINTS = /\brustc_demangle\b|\bstd(\[[0-9a-f]+\])?::backtrace_rs::(print|symbolize)::|<std(\[[0-9a-f]+\])?::backtrace::Backtrace as /;
/** No locals, `unreachable`, the end. */
const TRAP = Buffer.from([0, 0, 0x0b]);

const path = process.argv[2];
const module = read(readFileSync(path));
module.bodies = module.bodies.map((body, i) => (PRINTS.test(module.names[i]) ? TRAP : body));
writeFileSync(path, write(module));
