import type { CommitOptions, LoroDoc, LoroEventBatch, Value, VersionVector } from "./loro.js";

export * from "./loro.js";

/** Loads the wasm module. Optional before `Repo.open`, needed before a bare `new LoroDoc()`. Idempotent. */
export default function init(wasm?: string | URL | Request | Response | BufferSource | WebAssembly.Module): Promise<void>;
export { init };
/** Loads the wasm module from its bytes, at once. */
export function initSync(bytes: BufferSource | WebAssembly.Module): void;

export type RepoErrorCode =
  | "invalid-argument"
  | "reentrant"
  | "closed"
  | "timeout"
  | "aborted"
  | "no-adapter"
  | "storage"
  | "decode"
  | "refused"
  | "panic";

/** An error with a stable code and what led to it. */
export class RepoError extends Error {
  constructor(code: RepoErrorCode, message: string, options?: { cause?: unknown });
  readonly name: "RepoError";
  readonly code: RepoErrorCode;
  readonly cause?: unknown;
}

export type ChannelKind = "network" | "storage" | "tabs";
export type PeerType = "user" | "bot" | "service";
export type AdapterState = "off" | "connecting" | "open" | "waiting" | "closed";

/** What a repo is connected with. One adapter serves one repo. */
export interface Adapter {
  readonly kind: ChannelKind;
  readonly name: string;
}

/** Keeps documents in IndexedDB. */
export class IndexedDBAdapter implements Adapter {
  constructor(options?: { database?: string });
  readonly kind: "storage";
  readonly name: string;
}

/** Connects to a hub, again and again. */
export class WebSocketAdapter implements Adapter {
  constructor(options: { url: string | (() => string | Promise<string>) });
  readonly kind: "network";
  readonly name: string;
  readonly state: AdapterState;
  /** Connects again after `disconnect`. */
  connect(): void;
  /** Leaves the hub until `connect`. */
  disconnect(): void;
}

/** Connects the tabs and workers of one origin. */
export class BroadcastChannelAdapter implements Adapter {
  constructor(options?: { name?: string });
  readonly kind: "tabs";
  readonly name: string;
}

/** The peer a permission is asked about. */
export interface PermissionPeer {
  readonly peerId: string;
  readonly name?: string;
  readonly type: string;
  readonly channelId: number;
  readonly kind: ChannelKind;
}

export type Permission = (doc: { readonly id: string }, peer: PermissionPeer) => boolean;

/** Synchronous predicates asked at every decision. A call into the repo inside one throws "reentrant". */
export interface Permissions {
  /** May the peer know of and read the document? Default true. For storage: may it be kept there? */
  visibility: Permission;
  /** May changes come from the peer? Default true. */
  mutability: Permission;
  /** May the peer make the document come into being here? Default true. */
  creation: Permission;
  /** May the peer have the document deleted here? Default false. */
  deletion: Permission;
}

export interface RepoOptions {
  identity?: { name?: string; type?: PeerType; peerId?: string };
  adapters?: Adapter[];
  permissions?: Partial<Permissions>;
}

export interface DocInfo {
  docId: string;
  /** The application holds a handle. */
  open: boolean;
  /** Storage has it. */
  stored: boolean;
  /** Bytes it takes there. */
  bytes?: number;
  /** When it was last written, milliseconds since the Unix epoch. */
  updated?: number;
}

export interface ChannelInfo {
  channelId: number;
  kind: ChannelKind;
  adapter: string;
  state: "connected" | "established";
  stats: { messagesIn: number; messagesOut: number; bytesIn: number; bytesOut: number };
}

export interface PeerInfo {
  peerId: string;
  name?: string;
  type: string;
  channels: ChannelInfo[];
}

export interface AdapterInfo {
  kind: ChannelKind;
  name: string;
  state: AdapterState;
}

export interface ReadyState {
  peerId: string;
  kind: ChannelKind;
  /** "synced": it said it has what is here, and what it has is here. "absent": it said it does not have the document. */
  state: "pending" | "synced" | "absent";
  version?: VersionVector;
}

export interface RepoEvents {
  "document-added": { type: "document-added"; docId: string };
  "document-removed": { type: "document-removed"; docId: string };
  "peer-connected": { type: "peer-connected"; peerId: string };
  "peer-disconnected": { type: "peer-disconnected"; peerId: string };
  "ready-state-changed": { type: "ready-state-changed"; docId: string };
  "storage-health": { type: "storage-health"; ok: boolean; error?: RepoError };
  "adapter-changed": { type: "adapter-changed"; adapter: number };
  error: { type: "error"; error: RepoError; docId?: string };
}

/** A local-first repository of documents. */
export class Repo {
  private constructor();
  static open(options?: RepoOptions): Promise<Repo>;
  /** A decimal u64, fresh for every repo. */
  readonly peerId: string;
  /** Opens a document, at once; the same handle for the same id. */
  get(docId: string): DocHandle;
  /** Every document known here, open or not. */
  list(): DocInfo[];
  /** Deletes a document from this repo and its storage, for good. */
  delete(docId: string): Promise<void>;
  readonly peers: PeerInfo[];
  readonly adapters: AdapterInfo[];
  /** Asks the network peers which documents they have; the answers come as "document-added". */
  discover(): void;
  on<Name extends keyof RepoEvents>(event: Name, listener: (event: RepoEvents[Name]) => void): () => void;
  /** Completes when everything edited so far is on disk. */
  flush(): Promise<void>;
  /** Flushes, leaves the peers and releases everything. Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface WaitForSyncOptions {
  kind?: "network" | "storage";
  /** Milliseconds, 30000 unless told; 0 for none. */
  timeout?: number;
  signal?: AbortSignal;
}

/** A document of a repo. */
export class DocHandle {
  private constructor();
  readonly docId: string;
  readonly doc: LoroDoc;
  /** Edits the document in one commit. What an `fn` that throws had done is committed all the same. */
  change<T>(fn: (doc: LoroDoc) => T, options?: Pick<CommitOptions, "message" | "origin">): T;
  subscribe(listener: (event: LoroEventBatch) => void): () => void;
  readonly readyStates: ReadyState[];
  waitForSync(options?: WaitForSyncOptions): Promise<void>;
  /** Unpersisted state shared with the document's peers. */
  ephemeral<T extends Record<string, Value> = Record<string, Value>>(namespace: string): EphemeralStore<T>;
  close(): void;
  [Symbol.dispose](): void;
}

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
  /** @param timeout milliseconds after which foreign entries lapse */
  constructor(timeout: number);
  set(key: string, value: T): void;
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
  /** @param timeout milliseconds after which foreign entries lapse, 30000 unless told */
  constructor(timeout?: number);
  readonly inner: EphemeralStoreWasm;
  set<K extends keyof T & string>(key: K, value: T[K]): void;
  get<K extends keyof T & string>(key: K): T[K] | undefined;
  delete<K extends keyof T & string>(key: K): void;
  getAllStates(): Partial<T>;
  keys(): string[];
  encode<K extends keyof T & string>(key: K): Uint8Array;
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
