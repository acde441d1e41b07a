// Gives what the wasm module imports and exports short names, in the module and in its glue.
//
//   node scripts/shorten-names.mjs corella.js corella_bg.wasm
import { readFileSync, writeFileSync } from "node:fs";
import { read, renameExports, renameImports, write } from "./wasm.mjs";

/** What `init` of the glue answers with is used under these names. */
const KEPT = ["memory", "__stack_pointer"];
/** As the glue calls the module's imports, and the shorter name. */
const TABLE = ["./corella_bg.js", "a"];

const [gluePath, modulePath] = process.argv.slice(2);
const adapt = (what) => {
  throw new Error(`${what}: adapt scripts/shorten-names.mjs`);
};
const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
/** Returns the same short name for the same name, always. */
function shortener() {
  const given = new Map();
  const short = (place) => (place < LETTERS.length ? "" : short(Math.floor(place / LETTERS.length) - 1)) + LETTERS[place % LETTERS.length];
  return { given, shorten: (name) => given.get(name) ?? (given.set(name, short(given.size)), given.get(name)) };
}

const module = read(readFileSync(modulePath));
const imports = shortener();
renameImports(module, (from, name) => {
  if (from !== TABLE[0]) adapt(`${name} is imported from ${from}`);
  return { from: TABLE[1], name: imports.shorten(name) };
});
const exports = shortener();
renameExports(module, (name) => (KEPT.includes(name) ? name : exports.shorten(name)));

let glue = readFileSync(gluePath, "utf8");
glue = glue.replace(/(?<=\bwasm\.)\w+/g, (name) => (KEPT.includes(name) ? name : (exports.given.get(name) ?? adapt(`${name} is no export`))));
// Only the table of imports is set out like this.
const offered = new Set();
glue = glue.replace(/(?<=^ {8})\w+(?=: function\()/gm, (name) => (offered.add(name), imports.given.get(name) ?? adapt(`${name} is no import`)));
for (const name of imports.given.keys()) if (!offered.has(name)) adapt(`the glue does not offer ${name}`);
const table = `"${TABLE[0]}": import0`;
if (!glue.includes(table)) adapt(`the glue has no ${table}`);
writeFileSync(gluePath, glue.replace(table, `${TABLE[1]}: import0`));
writeFileSync(modulePath, write(module));
