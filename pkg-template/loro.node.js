// The document API as Node resolves it: loaded when it is imported.
import "./ready.node.js";
export { default } from "./loro.js";
export * from "./loro.js";
