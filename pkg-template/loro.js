// The document API alone: what loro-crdt exports, to be resolved in its place. The same classes as the package's entry has.
export { init as default, init, initSync } from "./ready.js";
export { RepoError } from "./errors.js";
export { EphemeralStore } from "./ephemeral.js";
export { Awareness, Loro, getType, idStrToId, newContainerID, newRootContainerID } from "./document.js";
export * from "./diagnostics.js";
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
} from "./corella.js";
