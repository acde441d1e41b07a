// The document API, with loro-crdt's names.

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

export type Container = LoroText | LoroMap | LoroList | LoroMovableList;

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

export interface ImportBlobMetadata {
  partialStartVersionVector: Map<PeerID, number>;
  partialEndVersionVector: Map<PeerID, number>;
  startFrontiers: Frontiers;
  startTimestamp: number;
  endTimestamp: number;
  mode: string;
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
  getContainerById(id: ContainerID): Container | undefined;
  hasContainer(id: ContainerID): boolean;
  getByPath(path: string): Value | Container | undefined;
  commit(options?: CommitOptions | null): void;
  setNextCommitMessage(message: string): void;
  setNextCommitOrigin(origin: string): void;
  setNextCommitTimestamp(timestamp: number): void;
  setNextCommitOptions(options: CommitOptions): void;
  getPendingTxnLength(): number;
  import(updateOrSnapshot: Uint8Array): ImportStatus;
  importBatch(data: Uint8Array[]): ImportStatus;
  export(mode: ExportMode): Uint8Array;
  version(): VersionVector;
  oplogVersion(): VersionVector;
  frontiers(): Frontiers;
  oplogFrontiers(): Frontiers;
  frontiersToVV(frontiers: Frontiers): VersionVector;
  vvToFrontiers(version: VersionVector): Frontiers;
  toJSON(): Record<string, Value>;
  getShallowValue(): Record<string, ContainerID>;
  subscribe(listener: Listener): Subscription;
  subscribeLocalUpdates(listener: (bytes: Uint8Array) => void): Subscription;
  readonly peerId: bigint;
  readonly peerIdStr: PeerID;
  setPeerId(peerId: number | bigint | PeerID): void;
  opCount(): number;
  changeCount(): number;
  fork(): LoroDoc<T>;
  forkAt(frontiers: Frontiers): LoroDoc<T>;
  checkout(frontiers: Frontiers): void;
  checkoutToLatest(): void;
  attach(): void;
  detach(): void;
  isDetached(): boolean;
  configTextStyle(styles: { [key: string]: TextStyle }): void;
  configDefaultTextStyle(style: TextStyle | undefined): void;
  getCursorPos(cursor: Cursor): { update?: Cursor; offset: number; side: Side } | undefined;
}
export interface LoroDoc extends Freed {}

interface ContainerHandle<Kind extends ContainerType> extends Freed {
  kind(): Kind;
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
  mark(range: { start: number; end: number }, key: string, value: Value): void;
  unmark(range: { start: number; end: number }, key: string): void;
  getCursor(pos: number, side?: Side): Cursor | undefined;
  getAttached(): LoroText | undefined;
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
  values(): (Value | Container)[];
  entries(): [string, Value | Container][];
  readonly size: number;
  toJSON(): Record<string, Value>;
  getShallowValue(): Record<string, Value>;
  setContainer<C extends Container>(key: string, child: C): C;
  getOrCreateContainer<C extends Container>(key: string, child: C): C;
  getAttached(): LoroMap<T> | undefined;
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
  toJSON(): Value[];
  getShallowValue(): Value[];
  insertContainer<C extends Container>(pos: number, child: C): C;
  pushContainer<C extends Container>(child: C): C;
  getCursor(pos: number, side?: Side): Cursor | undefined;
  getAttached(): LoroList<T> | undefined;
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
  pop(): Value | Container | undefined;
  get(index: number): T;
  readonly length: number;
  toArray(): T[];
  toJSON(): Value[];
  getShallowValue(): Value[];
  insertContainer<C extends Container>(pos: number, child: C): C;
  pushContainer<C extends Container>(child: C): C;
  setContainer<C extends Container>(pos: number, child: C): C;
  getCursor(pos: number, side?: Side): Cursor | undefined;
  getAttached(): LoroMovableList<T> | undefined;
}
export interface LoroMovableList extends ContainerHandle<"MovableList"> {}

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
  constructor(value?: Map<PeerID, number> | Uint8Array | null);
  static parseJSON(version: Map<PeerID, number>): VersionVector;
  static decode(bytes: Uint8Array): VersionVector;
  toJSON(): Map<PeerID, number>;
  encode(): Uint8Array;
  get(peerId: number | bigint | PeerID): number | undefined;
  compare(other: VersionVector): number | undefined;
  length(): number;
}
export interface VersionVector extends Freed {}

/** Undoes and redoes what this peer did. */
export class UndoManager {
  constructor(doc: LoroDoc, config: { mergeInterval?: number; maxUndoSteps?: number; excludeOriginPrefixes?: string[] });
  undo(): boolean;
  redo(): boolean;
  canUndo(): boolean;
  canRedo(): boolean;
  clear(): void;
  addExcludeOriginPrefix(prefix: string): void;
  setMergeInterval(interval: number): void;
  setMaxUndoSteps(steps: number): void;
  peer(): PeerID;
}
export interface UndoManager extends Freed {}

export function LORO_VERSION(): string;
export function callPendingEvents(): void;
export function decodeImportBlobMeta(blob: Uint8Array, checkChecksum: boolean): ImportBlobMetadata;
export function isContainer(value: unknown): value is Container;
export function isContainerId(text: string): text is ContainerID;
