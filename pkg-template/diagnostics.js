// The free functions that only the full build has.
export { redactJsonUpdates } from "./corella.js";

/** Nothing is left to be done: kept for code written for loro-crdt. */
export function run() {}
export { run as setDebug };
