// Which entry to resolve in place of which of loro-crdt's, for bundlers: the longer names first, since some match by beginnings.
const BUILDS = ["web", "bundler", "nodejs", "base64", "browser"];

export const aliases = Object.fromEntries([
  ...BUILDS.map((build) => [`loro-crdt/${build}/loro_wasm_bg.wasm`, "corella/corella_bg.wasm"]),
  ...BUILDS.map((build) => [`loro-crdt/${build}`, "corella/loro"]),
  ["loro-crdt", "corella/loro"],
]);

export default aliases;
