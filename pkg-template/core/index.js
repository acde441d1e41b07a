// The core package's entry: the document API and the repo. Importing it touches no global of the browser.
export { default } from "./loro.js";
export * from "./loro.js";
export { Repo, DocHandle } from "./repo.js";
export { RateLimiter } from "./admission.js";
export { IndexedDBAdapter, WebSocketAdapter, BroadcastChannelAdapter } from "./adapters.js";
