// Writes the types of the core package: those of the full one without what `pkg-template/core/left-out.json` names.
//
//   node scripts/core-types.mjs folder        into the folder
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "../tools/node_modules/typescript/lib/typescript.js";

const template = join(dirname(fileURLToPath(import.meta.url)), "../pkg-template");
const out = process.argv[2];
const leftOut = JSON.parse(readFileSync(join(template, "core/left-out.json"), "utf8"));
const unseen = new Set([...leftOut.exports, ...Object.entries(leftOut.members).flatMap(([owner, names]) => names.map((name) => `${owner}.${name}`))]);

const isNamed = (names, node, owner) => {
  const name = node.name?.text;
  if (name === undefined || !names.includes(name)) return false;
  unseen.delete(owner === undefined ? name : `${owner}.${name}`);
  return true;
};

for (const file of ["index.d.ts", "loro.d.ts"]) {
  const text = readFileSync(join(template, file), "utf8");
  const cuts = [];
  for (const statement of ts.createSourceFile(file, text, ts.ScriptTarget.Latest).statements) {
    if (isNamed(leftOut.exports, statement)) {
      cuts.push(statement);
      continue;
    }
    const owner = statement.name?.text;
    for (const member of statement.members ?? []) if (isNamed(leftOut.members[owner] ?? [], member, owner)) cuts.push(member);
  }
  // With the comments before them, up to the end of the line before.
  const kept = cuts.reverse().reduce((rest, node) => rest.slice(0, node.pos) + rest.slice(node.end), text);
  writeFileSync(join(out, file), kept);
}
if (unseen.size > 0) throw new Error(`the types have no ${[...unseen].join(", ")}`);
