// `node --import corella/register app.js`: everything that asks for loro-crdt gets corella/loro.
import * as nodeModule from "node:module";
import { fileURLToPath } from "node:url";
import { aliases } from "./aliases.js";

const local = {
  "corella/loro": new URL("loro.node.js", import.meta.url).href,
  "corella/corella_bg.wasm": new URL("corella_bg.wasm", import.meta.url).href,
};
const files = Object.fromEntries(Object.entries(aliases).map(([name, entry]) => [name, local[entry]]));

if (nodeModule.registerHooks === undefined) {
  // Older releases have hooks for import only, and those in a thread of their own.
  const resolve = `const files = ${JSON.stringify(files)};
    export const resolve = (name, context, next) => Object.hasOwn(files, name) ? { url: files[name], shortCircuit: true } : next(name, context);`;
  nodeModule.register(`data:text/javascript,${encodeURIComponent(resolve)}`);
  const { default: commonJs } = nodeModule;
  const found = commonJs._resolveFilename;
  commonJs._resolveFilename = function (name, ...rest) {
    return Object.hasOwn(files, name) ? fileURLToPath(files[name]) : found.call(this, name, ...rest);
  };
} else {
  nodeModule.registerHooks({
    resolve: (name, context, next) => (Object.hasOwn(files, name) ? { url: files[name], shortCircuit: true } : next(name, context)),
  });
}
