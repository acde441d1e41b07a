// The package's entry as Node resolves it: loaded when it is imported.
import "./ready.node.js";
export { default } from "./index.js";
export * from "./index.js";
