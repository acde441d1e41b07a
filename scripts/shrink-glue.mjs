// Takes comments and indentation out of the generated glue: what it does is documented in the types.
import { readFileSync, writeFileSync } from "node:fs";
import ts from "../tools/node_modules/typescript/lib/typescript.js";

const path = process.argv[2];
const { ESNext } = ts.ScriptTarget;
const { outputText } = ts.transpileModule(readFileSync(path, "utf8"), {
  compilerOptions: { target: ESNext, module: ts.ModuleKind.ESNext, removeComments: true },
});
const file = ts.createSourceFile(path, outputText, ESNext);
(function check(node) {
  if (ts.isTemplateLiteralToken(node) && node.getText(file).includes("\n")) throw new Error("the glue has a text of several lines: adapt scripts/shrink-glue.mjs");
  ts.forEachChild(node, check);
})(file);
writeFileSync(path, outputText.replace(/^ +/gm, ""));
