// The package's entry. Importing it touches no global of the browser and loads nothing.
export { init as default, init, initSync } from "./ready.js";
export { RepoError } from "./errors.js";
export { Repo, DocHandle } from "./repo.js";
export { IndexedDBAdapter, WebSocketAdapter, BroadcastChannelAdapter } from "./adapters.js";
export { EphemeralStore } from "./ephemeral.js";
export {
  LoroDoc,
  LoroText,
  LoroMap,
  LoroList,
  LoroMovableList,
  VersionVector,
  Cursor,
  UndoManager,
  LORO_VERSION,
  callPendingEvents,
  decodeImportBlobMeta,
  isContainer,
  isContainerId,
} from "./corella.js";
