// The document API, with loro-crdt's names: what "corella/loro" exports.
export { RepoError, type RepoErrorCode } from "./index.js";

/** What the wasm module may be given as; it is found beside the package's files unless told. */
export type InitInput = string | URL | Request | Response | BufferSource | WebAssembly.Module;
export type SyncInitInput = BufferSource | WebAssembly.Module;
/** Loads the wasm module. Optional before `Repo.open` and in Node, needed before a bare `new LoroDoc()` elsewhere. Idempotent. */
export default function init(
  wasm?: InitInput | Promise<InitInput> | { module_or_path?: InitInput | Promise<InitInput> },
): Promise<void>;
export { init };
/** Loads the wasm module from its bytes, at once. Idempotent. */
export function initSync(wasm: SyncInitInput | { module: SyncInitInput }): void;

export type PeerID = `${number}`;
export type OpId = { peer: PeerID; counter: number };
export type Frontiers = OpId[];
export type ContainerType = "Text" | "Map" | "List" | "Tree" | "MovableList" | "Counter";
export type ContainerID = `cid:root-${string}:${ContainerType}` | `cid:${number}@${PeerID}:${ContainerType}`;
export type TreeID = `${number}@${PeerID}`;
export type Side = -1 | 0 | 1;
export type Subscription = () => void;

export type Value =
  | ContainerID
  | string
  | number
  | boolean
  | null
  | { [key: string]: Value }
  | Uint8Array
  | Value[]
  | undefined;

export type Container = LoroText | LoroMap | LoroList | LoroMovableList | LoroTree | LoroCounter;
export type TextPosType = "unicode" | "utf16" | "utf8";
export type NonNullableType<T> = Exclude<T, null | undefined>;
export type ValueWithContainerID = { cid: ContainerID; value: Value };
export type IdSpan = { peer: PeerID; counter: number; length: number };
export type VersionVectorDiff = { retreat: IdSpan[]; forward: IdSpan[] };

export type Delta<T> =
  | { insert: T; attributes?: { [key in string]: Value }; retain?: undefined; delete?: undefined }
  | { delete: number; attributes?: undefined; retain?: undefined; insert?: undefined }
  | { retain: number; attributes?: { [key in string]: Value }; delete?: undefined; insert?: undefined };

export type Path = (number | string | TreeID)[];

export type TextDiff = { type: "text"; diff: Delta<string>[] };
export type ListDiff = { type: "list"; diff: Delta<(Value | Container)[]>[] };
export type MapDiff = { type: "map"; updated: Record<string, Value | Container | undefined> };
export type TreeDiffItem =
  | { target: TreeID; action: "create"; parent: TreeID | undefined; index: number; fractionalIndex: string }
  | { target: TreeID; action: "delete"; oldParent: TreeID | undefined; oldIndex: number }
  | {
      target: TreeID;
      action: "move";
      parent: TreeID | undefined;
      index: number;
      fractionalIndex: string;
      oldParent: TreeID | undefined;
      oldIndex: number;
    };
export type TreeDiff = { type: "tree"; diff: TreeDiffItem[] };
export type CounterDiff = { type: "counter"; increment: number };
export type Diff = TextDiff | ListDiff | MapDiff | TreeDiff | CounterDiff;

export type ListJsonDiff = { type: "list"; diff: Delta<(Value | JsonContainerID)[]>[] };
export type MapJsonDiff = { type: "map"; updated: Record<string, Value | JsonContainerID | undefined> };
export type JsonDiff = ListJsonDiff | TextDiff | MapJsonDiff | CounterDiff | TreeDiff;

export interface ApplyDiffOptions {
  /** The diff comes from `diff()` or from the event of an import or a checkout; never set for events of local commits. */
  fullState?: boolean;
}

export interface LoroEvent {
  target: ContainerID;
  diff: Diff;
  path: Path;
}

export interface LoroEventBatch {
  by: "local" | "import" | "checkout";
  origin?: string;
  currentTarget?: ContainerID;
  events: LoroEvent[];
  from: Frontiers;
  to: Frontiers;
}

export interface Listener {
  (event: LoroEventBatch): void;
}

export type CounterSpan = { start: number; end: number };
export type ImportStatus = { success: Map<PeerID, CounterSpan>; pending: Map<PeerID, CounterSpan> | null };

export type ExportMode =
  | { mode: "update"; from?: VersionVector }
  | { mode: "snapshot" }
  | { mode: "shallow-snapshot"; frontiers: Frontiers }
  | { mode: "updates-in-range"; spans: { id: OpId; len: number }[] };

export interface CommitOptions {
  origin?: string;
  /** Seconds since the Unix epoch. */
  timestamp?: number;
  message?: string;
}

export type TextStyle = { expand: "before" | "after" | "none" | "both" };

export interface TextUpdateOptions {
  timeoutMs?: number;
  useRefinedDiff?: boolean;
}

export interface Change {
  peer: PeerID;
  counter: number;
  lamport: number;
  length: number;
  /** Seconds since the Unix epoch. */
  timestamp: number;
  deps: OpId[];
  message: string | undefined;
}

export type UndoConfig = {
  /** Milliseconds; 1000 unless told. */
  mergeInterval?: number;
  /** 100 unless told. */
  maxUndoSteps?: number;
  excludeOriginPrefixes?: string[];
  onPush?: (
    isUndo: boolean,
    counterRange: CounterSpan,
    event?: LoroEventBatch,
  ) => { value: Value; cursors: Cursor[] };
  onPop?: (isUndo: boolean, value: { value: Value; cursors: Cursor[] }, counterRange: CounterSpan) => void;
};

export type TreeNodeShallowValue = {
  id: TreeID;
  parent: TreeID | undefined;
  index: number;
  fractionalIndex: string;
  meta: ContainerID;
  children: TreeNodeShallowValue[];
};
export type TreeNodeValue = {
  id: TreeID;
  parent: TreeID | undefined;
  index: number;
  fractionalIndex: string;
  meta: LoroMap;
  children: TreeNodeValue[];
};
export type TreeNodeJSON<T> = Omit<TreeNodeValue, "meta" | "children"> & { meta: T; children: TreeNodeJSON<T>[] };

export type JsonOpID = `${number}@${PeerID}`;
export type JsonContainerID = `🦜:${ContainerID}`;
export type JsonValue =
  | JsonContainerID
  | string
  | number
  | boolean
  | null
  | { [key: string]: JsonValue }
  | Uint8Array
  | JsonValue[];
export type JsonSchema = {
  schema_version: number;
  start_version: Record<string, number>;
  /** What the numbers in ids stand for; null in exports without peer compression. */
  peers: PeerID[];
  changes: JsonChange[];
};
export type JsonChange = {
  id: JsonOpID;
  timestamp: number;
  deps: JsonOpID[];
  lamport: number;
  /** Left out in exports of parts. */
  msg: string | null;
  ops: JsonOp[];
};
export type JsonOp = {
  container: ContainerID;
  counter: number;
  content: ListOp | TextOp | MapOp | TreeOp | MovableListOp | CounterOp | UnknownOp;
};
export type ListOp =
  | { type: "insert"; pos: number; value: JsonValue }
  | { type: "delete"; pos: number; len: number; start_id: JsonOpID };
export type MovableListOp =
  | ListOp
  | { type: "move"; from: number; to: number; elem_id: `L${JsonOpID}` }
  | { type: "set"; elem_id: `L${JsonOpID}`; value: JsonValue };
export type TextOp =
  | { type: "insert"; pos: number; text: string }
  | { type: "delete"; pos: number; len: number; start_id: JsonOpID }
  | { type: "mark"; start: number; end: number; style_key: string; style_value: JsonValue; info: number }
  | { type: "mark_end" };
export type MapOp = { type: "insert"; key: string; value: JsonValue } | { type: "delete"; key: string };
export type TreeOp =
  | { type: "create"; target: TreeID; parent: TreeID | null; fractional_index: string }
  | { type: "move"; target: TreeID; parent: TreeID | null; fractional_index: string }
  | { type: "delete"; target: TreeID };
export type CounterOp = { type: "counter"; value_type: "f64" | "i64"; value: number; prop: number };
export type UnknownOp = {
  type: "unknown";
  prop: number;
  value_type: "unknown";
  value: { kind: number; data: Uint8Array };
};

export type ContainerTreeTextFormat = "plain" | "delta";
export interface ContainerTreeOptions<T extends ContainerTreeTextFormat = ContainerTreeTextFormat> {
  /** How texts are given, at every depth; "plain" unless told. */
  text?: T;
}
export interface DocumentContainerTreeOptions<T extends ContainerTreeTextFormat = ContainerTreeTextFormat>
  extends ContainerTreeOptions<T> {
  /** The names of the roots wanted; all unless told. */
  roots?: readonly string[];
}
export type ValueNode = { type: "Value"; value: Value };
export type ContainerTreeNode<T extends ContainerTreeTextFormat = ContainerTreeTextFormat> = ContainerNode<T> | ValueNode;
export type ContainerNode<T extends ContainerTreeTextFormat = ContainerTreeTextFormat> =
  | { type: "Map"; cid: ContainerID; value: Record<string, ContainerTreeNode<T>> }
  | { type: "List"; cid: ContainerID; value: ContainerTreeNode<T>[] }
  | { type: "MovableList"; cid: ContainerID; value: ContainerTreeNode<T>[] }
  | { type: "Text"; cid: ContainerID; value: T extends "delta" ? Delta<string>[] : string }
  | { type: "Tree"; cid: ContainerID; value: TreeNodeSnapshot<T>[] }
  | { type: "Counter"; cid: ContainerID; value: number };
export interface TreeNodeSnapshot<T extends ContainerTreeTextFormat = ContainerTreeTextFormat> {
  id: TreeID;
  parent: TreeID | null;
  index: number;
  fractional_index: string;
  meta: Extract<ContainerNode<T>, { type: "Map" }>;
  children: TreeNodeSnapshot<T>[];
}
export interface ContainerTreeSlice<T extends ContainerTreeTextFormat = ContainerTreeTextFormat> {
  cid: ContainerID;
  start: number;
  totalLength: number;
  items: ContainerTreeNode<T>[];
}
export type ContainerTreeText<O> = O extends { text: infer T extends ContainerTreeTextFormat }
  ? T
  : O extends { text?: infer T }
    ? Extract<T, ContainerTreeTextFormat> | "plain"
    : "plain";
export type DocumentContainerTree<O> = O extends { roots: readonly (infer R extends string)[] }
  ? Partial<Record<R, ContainerNode<ContainerTreeText<O>>>>
  : Record<string, ContainerNode<ContainerTreeText<O>>>;

export interface ImportBlobMetadata {
  partialStartVersionVector: VersionVector;
  partialEndVersionVector: VersionVector;
  startFrontiers: Frontiers;
  startTimestamp: number;
  endTimestamp: number;
  mode: "outdated-snapshot" | "outdated-update" | "snapshot" | "shallow-snapshot" | "update";
  changeNum: number;
}

interface Freed {
  /** Releases the memory now instead of when the object is forgotten. */
  free(): void;
  [Symbol.dispose](): void;
}

/** A document. Text positions are UTF-16. */
export class LoroDoc<T extends Record<string, Container> = Record<string, Container>> {
  constructor();
  static fromSnapshot(snapshot: Uint8Array): LoroDoc;
  getText(key: string | ContainerID): LoroText;
  getMap<Key extends keyof T | ContainerID>(name: Key): T[Key] extends LoroMap ? T[Key] : LoroMap;
  getList<Key extends keyof T | ContainerID>(name: Key): T[Key] extends LoroList ? T[Key] : LoroList;
  getMovableList<Key extends keyof T | ContainerID>(name: Key): T[Key] extends LoroMovableList ? T[Key] : LoroMovableList;
  getTree<Key extends keyof T | ContainerID>(name: Key): T[Key] extends LoroTree ? T[Key] : LoroTree;
  getCounter(name: string | ContainerID): LoroCounter;
  getContainerById(id: ContainerID): Container | undefined;
  hasContainer(id: ContainerID): boolean;
  /** The keys, positions and node ids that lead to a container. */
  getPathToContainer(id: ContainerID): Path | undefined;
  getByPath(path: string): Value | Container | undefined;
  /** What a JSONPath such as `$.list[*].key` finds. Throws if it cannot be read. */
  JSONPath(path: string): any[];
  /** Calls `listener` when what a JSONPath finds may have changed. */
  subscribeJsonpath(path: string, listener: () => void): Subscription;
  commit(options?: CommitOptions | null): void;
  setNextCommitMessage(message: string): void;
  setNextCommitOrigin(origin: string): void;
  setNextCommitTimestamp(timestamp: number): void;
  setNextCommitOptions(options: CommitOptions): void;
  clearNextCommitOptions(): void;
  getPendingTxnLength(): number;
  import(updateOrSnapshot: Uint8Array): ImportStatus;
  importBatch(data: Uint8Array[]): ImportStatus;
  /** @deprecated `importBatch` */
  importUpdateBatch(data: Uint8Array[]): ImportStatus;
  importJsonUpdates(json: string | JsonSchema): ImportStatus;
  export(mode: ExportMode): Uint8Array;
  exportJsonUpdates(start?: VersionVector, end?: VersionVector, withPeerCompression?: boolean): JsonSchema;
  exportJsonInIdSpan(span: IdSpan): JsonChange[];
  getUncommittedOpsAsJson(): JsonSchema | undefined;
  /** What was imported and waits for operations it depends on. */
  exportPendingUpdates(): Uint8Array | undefined;
  version(): VersionVector;
  oplogVersion(): VersionVector;
  frontiers(): Frontiers;
  oplogFrontiers(): Frontiers;
  frontiersToVV(frontiers: Frontiers): VersionVector;
  vvToFrontiers(version: VersionVector): Frontiers;
  toJSON(): any;
  /** As `toJSON`, with what `replacer` returns; what it makes undefined is left out. */
  toJsonWithReplacer(
    replacer: (key: string | number, value: Value | Container) => Value | Container | undefined,
  ): Value;
  toContainerTree<A extends [options?: DocumentContainerTreeOptions]>(...args: A): DocumentContainerTree<A[0]>;
  toContainerTreeJson(options?: DocumentContainerTreeOptions): string;
  getDeepValueWithID(): any;
  getShallowValue(): Record<string, ContainerID>;
  setHideEmptyRootContainers(hide: boolean): void;
  deleteRootContainer(id: ContainerID): void;
  subscribe(listener: Listener): Subscription;
  subscribeLocalUpdates(listener: (bytes: Uint8Array) => void): Subscription;
  /** Calls `listener` inside every commit, where only reading and the modifier are allowed. */
  subscribePreCommit(
    listener: (commit: { changeMeta: Change; origin: string; modifier: ChangeModifier }) => void,
  ): Subscription;
  subscribeFirstCommitFromPeer(listener: (first: { peer: PeerID }) => void): Subscription;
  readonly peerId: bigint;
  readonly peerIdStr: PeerID;
  setPeerId(peerId: number | bigint | PeerID): void;
  opCount(): number;
  changeCount(): number;
  getAllChanges(): Map<PeerID, Change[]>;
  getChangeAt(id: OpId): Change;
  /** The operations of the change an operation is in, as the engine prints them: for looking at. */
  getOpsInChange(id: OpId): any[];
  getChangeAtLamport(peer: string, lamport: number): Change | undefined;
  /** Calls `visitor` with changes and what they depend on, latest first, until it returns false. */
  travelChangeAncestors(ids: OpId[], visitor: (change: Change) => boolean): void;
  getChangedContainersIn(id: OpId, len: number): ContainerID[];
  findIdSpansBetween(from: Frontiers, to: Frontiers): VersionVectorDiff;
  cmpFrontiers(a: Frontiers, b: Frontiers): -1 | 0 | 1 | undefined;
  cmpWithFrontiers(frontiers: Frontiers): -1 | 0 | 1;
  diff(from: Frontiers, to: Frontiers, forJson: false): [ContainerID, Diff][];
  diff(from: Frontiers, to: Frontiers, forJson?: true): [ContainerID, JsonDiff][];
  diff(from: Frontiers, to: Frontiers, forJson?: boolean): [ContainerID, JsonDiff | Diff][];
  applyDiff(diff: [ContainerID, Diff | JsonDiff][], options?: ApplyDiffOptions | null): void;
  /** Makes edits that bring back a version; they are pending until the next commit. */
  revertTo(frontiers: Frontiers): void;
  isShallow(): boolean;
  shallowSinceVV(): VersionVector;
  shallowSinceFrontiers(): Frontiers;
  debugHistory(): void;
  fork(): LoroDoc<T>;
  forkAt(frontiers: Frontiers): LoroDoc<T>;
  checkout(frontiers: Frontiers): void;
  checkoutToLatest(): void;
  attach(): void;
  detach(): void;
  isDetached(): boolean;
  setDetachedEditing(enable: boolean): void;
  isDetachedEditingEnabled(): boolean;
  /** Gives changes the time of their commit. */
  setRecordTimestamp(record: boolean): void;
  /** @param interval seconds */
  setChangeMergeInterval(interval: number): void;
  setDecodedValueCacheLimit(limit: number): void;
  getDecodedValueCacheLimit(): number;
  configTextStyle(styles: { [key: string]: TextStyle }): void;
  configDefaultTextStyle(style: TextStyle | undefined): void;
  getCursorPos(cursor: Cursor): { update?: Cursor; offset: number; side: Side } | undefined;
}
export interface LoroDoc extends Freed {}

/** loro-crdt's old name of LoroDoc. */
export class Loro<T extends Record<string, Container> = Record<string, Container>> extends LoroDoc<T> {}

/** Changes a change before it is committed. */
export class ChangeModifier {
  private constructor();
  setMessage(message: string): ChangeModifier;
  /** @param timestamp seconds since the Unix epoch */
  setTimestamp(timestamp: number): ChangeModifier;
}
export interface ChangeModifier extends Freed {}

interface ContainerHandle<Kind extends ContainerType> extends Freed {
  kind(): Kind;
  toContainerTree<A extends [options?: ContainerTreeOptions]>(
    ...args: A
  ): Extract<ContainerNode<ContainerTreeText<A[0]>>, { type: Kind }>;
  readonly id: ContainerID;
  isAttached(): boolean;
  isDeleted(): boolean;
  parent(): Container | undefined;
  subscribe(listener: Listener): Subscription;
}

/** A text. All positions and lengths are in UTF-16 units. */
export class LoroText {
  constructor();
  insert(pos: number, text: string): void;
  delete(pos: number, len: number): void;
  push(text: string): void;
  splice(pos: number, len: number, text: string): string;
  slice(startIndex: number, endIndex: number): string;
  charAt(pos: number): string;
  iter(callback: (text: string) => boolean): void;
  readonly length: number;
  toString(): string;
  toJSON(): string;
  getShallowValue(): string;
  update(text: string, options?: TextUpdateOptions): void;
  updateByLine(text: string, options?: TextUpdateOptions): void;
  toDelta(): Delta<string>[];
  sliceDelta(start: number, end: number): Delta<string>[];
  applyDelta(delta: Delta<string>[]): void;
  mark(range: { start: number; end: number }, key: string, value: any): void;
  unmark(range: { start: number; end: number }, key: string): void;
  getCursor(pos: number, side?: Side): Cursor | undefined;
  getAttached(): LoroText | undefined;
  convertPos(index: number, from: TextPosType, to: TextPosType): number | undefined;
  convertPos(index: number, from: string, to: string): number | undefined;
  insertUtf8(index: number, text: string): void;
  deleteUtf8(index: number, len: number): void;
  sliceDeltaUtf8(start: number, end: number): Delta<string>[];
  getEditorOf(pos: number): PeerID | undefined;
  getDeepValueWithID(): { cid: ContainerID; value: string };
}
export interface LoroText extends ContainerHandle<"Text"> {}

/** A map from strings to values and containers. */
export class LoroMap<T extends Record<string, unknown> = Record<string, unknown>> {
  constructor();
  set<Key extends keyof T, V extends T[Key]>(key: Key, value: Exclude<V, Container>): void;
  get<Key extends keyof T>(key: Key): T[Key];
  delete(key: string): void;
  clear(): void;
  keys(): string[];
  values(): any[];
  entries(): [string, Value | Container][];
  readonly size: number;
  toJSON(): any;
  getShallowValue(): Record<string, Value>;
  setContainer<C extends Container, Key extends keyof T>(
    key: Key,
    child: C,
  ): NonNullableType<T[Key]> extends C ? NonNullableType<T[Key]> : C;
  /** @deprecated the `ensureMergeable` methods make containers that merge */
  getOrCreateContainer<C extends Container>(key: string, child: C): C;
  /** The container under a key; containers that peers make at once are one. */
  ensureMergeableText(key: string): LoroText;
  ensureMergeableMap(key: string): LoroMap;
  ensureMergeableList(key: string): LoroList;
  ensureMergeableMovableList(key: string): LoroMovableList;
  ensureMergeableTree(key: string): LoroTree;
  ensureMergeableCounter(key: string): LoroCounter;
  getAttached(): LoroMap<T> | undefined;
  getLastEditor(key: string): PeerID | undefined;
  getDeepValueWithID(): ValueWithContainerID;
}
export interface LoroMap extends ContainerHandle<"Map"> {}

/** A list of values and containers. */
export class LoroList<T = unknown> {
  constructor();
  insert<V extends T>(pos: number, value: Exclude<V, Container>): void;
  push<V extends T>(value: Exclude<V, Container>): void;
  delete(pos: number, len: number): void;
  clear(): void;
  pop(): Value | undefined;
  get(index: number): T;
  readonly length: number;
  toArray(): T[];
  toJSON(): any;
  getShallowValue(): Value[];
  insertContainer<C extends Container>(pos: number, child: C): T extends C ? T : C;
  pushContainer<C extends Container>(child: C): T extends C ? T : C;
  getCursor(pos: number, side?: Side): Cursor | undefined;
  getAttached(): LoroList<T> | undefined;
  getIdAt(pos: number): OpId | undefined;
  getRangeValue(start: number, end: number): Value[];
  getRangeDeepValueWithID(start: number, end: number): (ValueWithContainerID | Value)[];
  getDeepValueWithID(): ValueWithContainerID;
  toContainerTreeSlice<A extends [options?: ContainerTreeOptions]>(
    start: number,
    end: number,
    ...args: A
  ): ContainerTreeSlice<ContainerTreeText<A[0]>>;
}
export interface LoroList extends ContainerHandle<"List"> {}

/** A list whose items can be moved and replaced. */
export class LoroMovableList<T = unknown> {
  constructor();
  insert<V extends T>(pos: number, value: Exclude<V, Container>): void;
  push<V extends T>(value: Exclude<V, Container>): void;
  set<V extends T>(pos: number, value: Exclude<V, Container>): void;
  move(from: number, to: number): void;
  delete(pos: number, len: number): void;
  clear(): void;
  pop(): Value | undefined;
  get(index: number): T;
  readonly length: number;
  toArray(): T[];
  toJSON(): any;
  getShallowValue(): Value[];
  insertContainer<C extends Container>(pos: number, child: C): T extends C ? T : C;
  pushContainer<C extends Container>(child: C): T extends C ? T : C;
  setContainer<C extends Container>(pos: number, child: C): T extends C ? T : C;
  getCursor(pos: number, side?: Side): Cursor | undefined;
  getAttached(): LoroMovableList<T> | undefined;
  getCreatorAt(pos: number): PeerID | undefined;
  getLastMoverAt(pos: number): PeerID | undefined;
  getLastEditorAt(pos: number): PeerID | undefined;
  getRangeValue(start: number, end: number): Value[];
  getRangeDeepValueWithID(start: number, end: number): (ValueWithContainerID | Value)[];
  getDeepValueWithID(): ValueWithContainerID;
  toContainerTreeSlice<A extends [options?: ContainerTreeOptions]>(
    start: number,
    end: number,
    ...args: A
  ): ContainerTreeSlice<ContainerTreeText<A[0]>>;
}
export interface LoroMovableList extends ContainerHandle<"MovableList"> {}

/** A tree whose nodes can be moved; every node has a map of its own. */
export class LoroTree<T extends Record<string, unknown> = Record<string, unknown>> {
  constructor();
  /** Makes a node, under the root without `parent`, last of its siblings without `index`. */
  createNode(parent?: TreeID, index?: number): LoroTreeNode<T>;
  move(target: TreeID, parent?: TreeID, index?: number | null): void;
  delete(target: TreeID): void;
  /** Whether a node was ever made, deleted ones too. */
  has(target: TreeID): boolean;
  isNodeDeleted(target: TreeID): boolean;
  getNodeByID(target: TreeID): LoroTreeNode<T> | undefined;
  getNodes(options?: { withDeleted?: boolean }): LoroTreeNode<T>[];
  /** All nodes, deleted ones too. */
  nodes(): LoroTreeNode<T>[];
  roots(): LoroTreeNode<T>[];
  toArray(): TreeNodeValue[];
  toJSON(): any;
  getShallowValue(): TreeNodeShallowValue[];
  getDeepValueWithID(): ValueWithContainerID;
  /** @param jitter 0 to 255: how much random is put into indexes against equal ones */
  enableFractionalIndex(jitter: number): void;
  disableFractionalIndex(): void;
  isFractionalIndexEnabled(): boolean;
  getAttached(): LoroTree<T> | undefined;
}
export interface LoroTree extends ContainerHandle<"Tree"> {}

/** A node of a tree. */
export class LoroTreeNode<T extends Record<string, unknown> = Record<string, unknown>> {
  private constructor();
  readonly id: TreeID;
  /** The node's own map. */
  readonly data: LoroMap<T>;
  createNode(index?: number): LoroTreeNode<T>;
  move(parent?: LoroTreeNode<T>, index?: number): void;
  moveAfter(target: LoroTreeNode): void;
  moveBefore(target: LoroTreeNode): void;
  index(): number | undefined;
  fractionalIndex(): string | undefined;
  parent(): LoroTreeNode<T> | undefined;
  children(): LoroTreeNode<T>[] | undefined;
  isDeleted(): boolean;
  toJSON(): TreeNodeJSON<T>;
  creationId(): OpId;
  creator(): PeerID;
  getLastMoveId(): OpId | undefined;
  /** @internal */
  __getClassname(): string;
}
export interface LoroTreeNode extends Freed {}

/** A number that everybody may add to. */
export class LoroCounter {
  constructor();
  increment(value: number): void;
  decrement(value: number): void;
  readonly value: number;
  toJSON(): number;
  getShallowValue(): number;
  getAttached(): LoroCounter | undefined;
}
export interface LoroCounter extends ContainerHandle<"Counter"> {}

/** A position that moves with the text or list it was made in. */
export class Cursor {
  private constructor();
  containerId(): ContainerID;
  pos(): OpId | undefined;
  side(): Side;
  kind(): string;
  encode(): Uint8Array;
  static decode(data: Uint8Array): Cursor;
}
export interface Cursor extends Freed {}

/** How many operations of each author are known. */
export class VersionVector {
  constructor(value?: Map<PeerID, number> | Uint8Array | VersionVector | null);
  static parseJSON(version: Map<PeerID, number>): VersionVector;
  static decode(bytes: Uint8Array): VersionVector;
  toJSON(): Map<PeerID, number>;
  encode(): Uint8Array;
  get(peerId: number | bigint | PeerID): number | undefined;
  compare(other: VersionVector): number | undefined;
  length(): number;
  remove(peer: PeerID): void;
  /** Makes it know a peer up to but without an operation. */
  setEnd(id: OpId): void;
  /** Makes it know a peer up to an operation. */
  setLast(id: OpId): void;
}
export interface VersionVector extends Freed {}

/** Undoes and redoes what this peer did. */
export class UndoManager {
  constructor(doc: LoroDoc, config: UndoConfig);
  undo(): boolean;
  redo(): boolean;
  canUndo(): boolean;
  canRedo(): boolean;
  /** Makes one step of everything until `groupEnd`. */
  groupStart(): void;
  groupEnd(): void;
  /** Takes no steps until `resume`. */
  pause(): void;
  resume(): void;
  isPaused(): boolean;
  clear(): void;
  clearUndo(): void;
  clearRedo(): void;
  topUndoValue(): Value | undefined;
  topRedoValue(): Value | undefined;
  setOnPush(listener?: UndoConfig["onPush"]): void;
  setOnPop(listener?: UndoConfig["onPop"]): void;
  addExcludeOriginPrefix(prefix: string): void;
  setMergeInterval(interval: number): void;
  setMaxUndoSteps(steps: number): void;
  peer(): PeerID;
}
export interface UndoManager extends Freed {}

export type AwarenessListener = (
  change: { updated: PeerID[]; added: PeerID[]; removed: PeerID[] },
  origin: "local" | "timeout" | "remote" | string,
) => void;

/** A value per peer. @deprecated `EphemeralStore` */
export class Awareness<T extends Value = Value> {
  constructor(peer: PeerID, timeout?: number);
  inner: AwarenessWasm<T>;
  apply(bytes: Uint8Array, origin?: string): void;
  setLocalState(state: T): void;
  getLocalState(): T | undefined;
  getAllStates(): Record<PeerID, T>;
  encode(peers: PeerID[]): Uint8Array;
  encodeAll(): Uint8Array;
  addListener(listener: AwarenessListener): void;
  removeListener(listener: AwarenessListener): void;
  peers(): PeerID[];
  destroy(): void;
}

/** What `Awareness` is made of. */
export class AwarenessWasm<T extends Value = Value> {
  constructor(peer: number | bigint | PeerID, timeout: number);
  apply(bytes: Uint8Array): { updated: PeerID[]; added: PeerID[] };
  encode(peers: (number | bigint | string)[]): Uint8Array;
  encodeAll(): Uint8Array;
  setLocalState(value: T): void;
  getState(peer: number | bigint | PeerID): T | undefined;
  getAllStates(): Record<PeerID, T>;
  getTimestamp(peer: number | bigint | PeerID): number | undefined;
  removeOutdated(): PeerID[];
  peer(): PeerID;
  peers(): PeerID[];
  length(): number;
  isEmpty(): boolean;
}
export interface AwarenessWasm extends Freed {}

export interface EphemeralStoreEvent {
  by: "local" | "import" | "timeout";
  added: string[];
  updated: string[];
  removed: string[];
}
export type EphemeralListener = (event: EphemeralStoreEvent) => void;
export type EphemeralLocalListener = (bytes: Uint8Array) => void;

/** A store without a timer: what `EphemeralStore` is made of. */
export class EphemeralStoreWasm<T extends Value = Value> {
  /** @param timeout milliseconds after which entries lapse */
  constructor(timeout: number);
  set(key: string, value: T): void;
  set(key: string, value: any): void;
  get(key: string): T | undefined;
  delete(key: string): void;
  getAllStates(): Record<string, T>;
  keys(): string[];
  isEmpty(): boolean;
  encode(key: string): Uint8Array;
  encodeAll(): Uint8Array;
  apply(bytes: Uint8Array): void;
  removeOutdated(): void;
  subscribe(listener: EphemeralListener): () => void;
  subscribeLocalUpdates(listener: EphemeralLocalListener): () => void;
  free(): void;
}

/** Unpersisted state, last writer wins: on its own, or of a document. */
export class EphemeralStore<T extends Record<string, Value> = Record<string, Value>> {
  /** @param timeout milliseconds after which entries lapse, 30000 unless told; not of a document's state */
  constructor(timeout?: number);
  readonly inner: EphemeralStoreWasm;
  set<K extends keyof T>(key: K, value: T[K]): void;
  get<K extends keyof T>(key: K): T[K] | undefined;
  delete<K extends keyof T>(key: K): void;
  getAllStates(): Partial<T>;
  keys(): string[];
  encode<K extends keyof T>(key: K): Uint8Array;
  encodeAll(): Uint8Array;
  apply(bytes: Uint8Array): void;
  subscribe(listener: EphemeralListener): () => void;
  subscribeLocalUpdates(listener: EphemeralLocalListener): () => void;
  destroy(): void;
  /** Sets the entry that stands for this repo; only of a document. */
  setSelf(value: Value): void;
  readonly self: Value | undefined;
  /** The entries of the other peers, by peer id. */
  readonly peers: Map<string, Value>;
  [Symbol.dispose](): void;
}

export function LORO_VERSION(): string;
export function callPendingEvents(): void;
export function decodeImportBlobMeta(blob: Uint8Array, checkChecksum: boolean): ImportBlobMetadata;
/** Takes the content out of exported operations: `range` has the first and the end of them, by peer. */
export function redactJsonUpdates(json: string | JsonSchema, range: Record<PeerID, number[]>): JsonSchema;
export function encodeFrontiers(frontiers: Frontiers): Uint8Array;
export function decodeFrontiers(bytes: Uint8Array): Frontiers;
export function isContainer(value: unknown): value is Container;
export function isContainerId(text: string): text is ContainerID;
export function isValidContainerId(text: string): boolean;
export function getType<T>(
  value: T,
): T extends LoroText
  ? "Text"
  : T extends LoroMap<any>
    ? "Map"
    : T extends LoroTree<any>
      ? "Tree"
      : T extends LoroList<any>
        ? "List"
        : T extends LoroMovableList<any>
          ? "MovableList"
          : T extends LoroCounter
            ? "Counter"
            : "Json";
export function newContainerID(id: OpId, type: ContainerType): ContainerID;
export function newRootContainerID(name: string, type: ContainerType): ContainerID;
export function idStrToId(id: `${number}@${PeerID}`): OpId;
/** Does nothing. */
export function run(): void;
/** Does nothing. */
export function setDebug(): void;
