// Makes the glue refuse what is no string where one belongs. As generated it takes a number or an object for "", or writes where it must not.
import { readFileSync, writeFileSync } from "node:fs";

const path = process.argv[2];
const glue = readFileSync(path, "utf8");
const passing = /^function passStringToWasm0\(arg, malloc, realloc\) \{$/m;
if (!passing.test(glue)) throw new Error("the glue no longer has `passStringToWasm0`: adapt scripts/guard-strings.mjs");
const check = '    if (typeof arg !== "string") throw noString(`expected a string, not ${arg === null ? "null" : typeof arg}`);';
writeFileSync(path, `import { invalid as noString } from "./errors.js";\n${glue.replace(passing, (line) => `${line}\n${check}`)}`);
