// The package's entry. Importing it touches no global of the browser and loads nothing.
export { init as default, init, initSync } from "./ready.js";
export { RepoError } from "./errors.js";
export { Repo, DocHandle } from "./repo.js";
export { RateLimiter } from "./admission.js";
export { IndexedDBAdapter, WebSocketAdapter, BroadcastChannelAdapter } from "./adapters.js";
export { EphemeralStore } from "./ephemeral.js";
export { Awareness, Loro, getType, idStrToId, newContainerID, newRootContainerID, run, setDebug } from "./document.js";
export {
  LoroDoc,
  LoroText,
  LoroMap,
  LoroList,
  LoroMovableList,
  LoroTree,
  LoroTreeNode,
  LoroCounter,
  VersionVector,
  Cursor,
  UndoManager,
  ChangeModifier,
  AwarenessWasm,
  EphemeralStoreWasm,
  LORO_VERSION,
  callPendingEvents,
  decodeFrontiers,
  decodeImportBlobMeta,
  encodeFrontiers,
  isContainer,
  isContainerId,
  isValidContainerId,
  redactJsonUpdates,
} from "./corella.js";
