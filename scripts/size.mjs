// What a built package weighs, every file compressed by itself and JavaScript minified first, beside npm's loro-crdt where it is installed.
//
//   node scripts/size.mjs [--check] [folder]     pkg/ unless told; --check fails above the limits
//                                            (higher ones where std was not built for size: see WASM_STD in scripts/setup-wasm.sh)
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { minify } from "../tools/node_modules/terser/main.js";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
/** Bytes of the wasm and its generated glue together: what an engine of another origin has as well. */
const LIMITS = { full: { gzip: 1_060_000, brotli: 780_000 }, core: { brotli: 700_000 } };
/** Of a build with the compiler's own std: what npm's loro-crdt weighs. */
const LIMITS_OF_STOCK = { gzip: 1_194_000, brotli: 841_000 };
const LIMITED = "corella, wasm + its glue";
/** What is never part of a page. */
const ELSEWHERE = ["aliases.js", "register.js", "index.node.js", "loro.node.js", "ready.node.js"];

export async function weigh(files) {
  const total = { raw: 0, gzip: 0, brotli: 0 };
  for (const file of files) {
    let bytes = readFileSync(file);
    if (file.endsWith(".js")) bytes = Buffer.from((await minify(bytes.toString(), { module: true })).code);
    total.raw += bytes.length;
    total.gzip += gzipSync(bytes, { level: 9 }).length;
    total.brotli += brotliCompressSync(bytes, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
    }).length;
  }
  return total;
}

/** The table of a package's bytes, with npm's for comparison. */
export async function weights(folder = join(root, "pkg")) {
  const scripts = readdirSync(folder).filter((name) => name.endsWith(".js") && !ELSEWHERE.includes(name));
  const rows = [
    ["corella, wasm", await weigh([join(folder, "corella_bg.wasm")])],
    [LIMITED, await weigh(["corella_bg.wasm", "corella.js"].map((name) => join(folder, name)))],
    ["corella, wasm + all JavaScript", await weigh(["corella_bg.wasm", ...scripts].map((name) => join(folder, name)))],
  ];
  const npm = join(root, "bench/node_modules/loro-crdt/web");
  if (existsSync(npm)) {
    rows.push(["loro-crdt 1.17.1 (npm, web), wasm", await weigh([join(npm, "loro_wasm_bg.wasm")])]);
    rows.push(["loro-crdt, wasm + JavaScript", await weigh(["loro_wasm_bg.wasm", "loro_wasm.js", "index.js"].map((name) => join(npm, name)))]);
  }
  return rows;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const folder = args.find((arg) => !arg.startsWith("--")) ?? join(root, "pkg");
  const rows = await weights(folder);
  const number = (value) => value.toLocaleString("en-US").padStart(10);
  console.log(`${"bytes".padEnd(36)}${["raw", "gzip -9", "brotli 11"].map((head) => head.padStart(10)).join("")}`);
  for (const [name, { raw, gzip, brotli }] of rows) console.log(`${name.padEnd(36)}${number(raw)}${number(gzip)}${number(brotli)}`);
  if (args.includes("--check")) {
    const [build, profile, std] = readFileSync(join(folder, ".stamp"), "utf8").split(" ");
    if (profile !== "wasm") throw new Error(`${folder} was built for development`);
    const limits = std === "sized" ? LIMITS[build] : LIMITS_OF_STOCK;
    const { [LIMITED]: weight } = Object.fromEntries(rows);
    const over = Object.entries(limits).filter(([kind, limit]) => weight[kind] > limit);
    for (const [kind, limit] of over) console.error(`size: ${number(weight[kind])} bytes of ${kind}, ${number(limit)} are allowed`);
    if (over.length > 0) process.exit(1);
  }
}
