import type { CommitOptions, EphemeralStore, LoroDoc, LoroEventBatch, OpId, PeerID, Value, VersionVector } from "./loro.js";

export * from "./loro.js";

export { default } from "./loro.js";

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
  /** The document was deleted, or forgotten by this repo: its handles are of no more use. */
  | "deleted"
  /** The document is known here, or was deleted; the record is there. */
  | "exists"
  /** There is no such record. */
  | "not-found"
  /** The wasm module is not loaded: `await init()`. Or it could not be. */
  | "not-loaded"
  /** A defect of corella ended the call; the document it was about is closed, and `repo.get` opens it anew. */
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

/** Connects to a hub, again and again; tabs share one connection. */
export class WebSocketAdapter implements Adapter {
  /**
   * `shared`: the tabs and workers of one origin that use the same `url` (of a function's, what comes before its query) have one connection
   * to the hub together, made with the url of the one that holds it. A string instead shares among those that give the same, such as a
   * user's id where tabs of several users are open; `false` gives this one a connection of its own.
   */
  constructor(options: { url: string | (() => string | Promise<string>); shared?: boolean | string });
  readonly kind: "network";
  readonly name: string;
  /** That of the tab's own connection, or of its place at another tab's. */
  readonly state: AdapterState;
  /** Whose connection it uses: its own for itself, its own for all tabs, or another tab's. */
  readonly part: "alone" | "leader" | "follower";
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

/** The peer a permission is asked about: who is at the other end of the connection, for a page mostly the hub, whoever made a change. */
export interface PermissionPeer {
  readonly peerId: string;
  readonly name?: string;
  readonly type: string;
  readonly channelId: number;
  readonly kind: ChannelKind;
}

/** Who made a document. Identities are what peers say of themselves. */
export interface Creator {
  readonly peerId: string;
  readonly name?: string;
}

/**
 * What a permission is asked about. Of a record `collection`, `record` (its key) and, in an owned collection, `owner` (its device) are there;
 * its `id` is that of the document it is about in `repo.catalogue`, and empty in other collections.
 */
export interface PermissionSubject {
  readonly id: string;
  readonly collection?: string;
  readonly record?: string;
  readonly owner?: string;
}

export type Permission = (doc: PermissionSubject, peer: PermissionPeer) => boolean;

/**
 * `creator` is known of documents made here with `repo.create`, and at a relay of those a peer brought; of others it is missing.
 * A repo's peer id is fresh every time it is opened: compare names to recognise a creator who came back.
 */
export type DeletionPermission = (doc: PermissionSubject & { readonly creator?: Creator }, peer: PermissionPeer) => boolean;

/**
 * Synchronous predicates asked at every decision, about documents and about records. A call into the repo inside one throws "reentrant". What throws, or returns
 * anything but true or false, refuses, and is reported once as an "error" event. When they begin to answer differently, call
 * `repo.permissionsChanged()`.
 */
export interface Permissions {
  /** May the peer know of and read the document? Default true. For storage: may it be kept there? */
  visibility: Permission;
  /** May changes come from the peer? Default true. */
  mutability: Permission;
  /** May the peer make the document come into being here? Default true. */
  creation: Permission;
  /**
   * May the peer have the document or record deleted here? By default only one's own other tabs may delete documents,
   * `peer.kind === "tabs"`, and everybody records.
   */
  deletion: DeletionPermission;
}

export type MessageKind =
  | "sync-request"
  | "sync-response"
  | "update"
  | "directory-request"
  | "directory-response"
  | "new-doc"
  | "delete-request"
  | "delete-response"
  | "ephemeral"
  | "heads"
  | "want"
  | "give"
  | "ack"
  | "refusal"
  | "digest"
  | "deleted"
  | "prune"
  | "records-have"
  | "records-request"
  | "records-response"
  | "records-change"
  | "records-refusal";

/** A message of a peer, before anything is done with it. */
export interface AdmissionMessage {
  readonly kind: MessageKind;
  /** The document it is about, if that is exactly one. */
  readonly docId?: string;
  /** Bytes of payload: document data, ephemeral entries, lists and version vectors. */
  readonly bytes: number;
  readonly peer: PermissionPeer;
}

/** `reason` is "unauthorized" unless told. After `retryMs` milliseconds trying again makes sense. */
export interface AdmissionRefusal {
  reason?: RefusalReason;
  retryMs?: number;
}

/**
 * Asked about every message of a peer, from the network and from other tabs, in order; not about handshakes. What comes after a
 * message whose answer is a promise is asked about at once and waits behind it, with more than 16384 messages or 64 MiB the peer is
 * disconnected. A refused message has no effect, and its sender is told why if it speaks corella's extension of the protocol. What
 * throws, rejects or gives anything else refuses as "unauthorized", and is reported once as an "error" event. A call into the repo
 * before the first `await` throws "reentrant".
 */
export type Admission = (message: AdmissionMessage) => boolean | AdmissionRefusal | Promise<boolean | AdmissionRefusal>;

/**
 * Refuses what a peer sends faster than this, as "rate-limited" and with the time after which it would pass. Rates are counted per
 * peer id, by every repo for itself. `burst` and `byteBurst` are what may come at once after a pause: what one second gives unless
 * told, and 10 messages at least. A document takes several messages to come over, so a smaller `burst` may let none through. A message
 * of more bytes than `byteBurst` is refused as "too-large". With `kinds` only those are counted and limited.
 */
export class RateLimiter {
  #private;
  constructor(options: { messagesPerSecond?: number; burst?: number; bytesPerSecond?: number; byteBurst?: number; kinds?: MessageKind[] });
}

export interface RepoOptions {
  identity?: { name?: string; type?: PeerType; peerId?: string };
  /** "leaf", unless told, fetches the documents that are opened and only lists the others; "relay" fetches and keeps every document. */
  role?: "leaf" | "relay";
  adapters?: Adapter[];
  permissions?: Partial<Permissions>;
  /** Judges what peers send; of several the first refusal counts. */
  admission?: Admission | RateLimiter | (Admission | RateLimiter)[];
  /**
   * How long deletions are remembered: `keep` milliseconds, half a year unless told, and at most `max` documents, 100000 unless told,
   * the latest ones. A device that was away for longer may bring a deleted document back.
   */
  tombstones?: { keep?: number; max?: number };
  /**
   * How much of the documents that are not open stays in memory: at most `documents`, 100 unless told, and `bytes` as they are stored,
   * 16 MiB unless told. Beyond that the least recently used leave it once they are stored, and come back by themselves when they are
   * opened or a peer asks for them or changes them. Without storage everything stays.
   */
  memory?: { documents?: number; bytes?: number };
  /**
   * How much of the documents' history stays in this device's storage: "all", unless told, or what is younger than so many days. Older
   * history goes once everybody known to follow the document has it on disk, and a hub that keeps all of it (as `corella-hub` does);
   * without such a hub nothing goes. It is gone from memory when the document is opened again. A device that was away for longer may
   * still bring edits from before: then the whole history is fetched from the hub again ("document-renewed").
   */
  history?: { keep: "all" | { days: number } };
  /**
   * Records: by how many milliseconds the clock of a peer may be ahead, five minutes unless told; what it writes later than that is not
   * taken and told of. And after how many a device that was not seen holds back no more what deletions leave, ninety days unless told.
   */
  records?: { drift?: number; lapse?: number };
}

/**
 * How safe the present content of a document is: in this page's memory, in this device's storage, in another machine's memory, on
 * another machine's disk. Each level includes those before it, "disk" only where the repo has storage. Other machines count by
 * what they said themselves: a hub of corella's says both, one that speaks only loro-extended's protocol proves "hub" at most.
 * With several, each operation is on one of them. Tabs of the same device count as nobody. A document without content is as safe
 * as can be.
 */
export type Durability = "memory" | "disk" | "hub" | "hub-disk";

/** Why a peer did not take what is here of a document. */
export type RefusalReason =
  /** This repo may not change it. */
  | "mutability"
  /** This repo may not create it. */
  | "creation"
  /** This repo may not delete it. */
  | "deletion"
  | "rate-limited"
  | "too-large"
  /** An authority outside the peer refused it. */
  | "unauthorized"
  /** It was deleted there. */
  | "deleted"
  /** It could not be imported there. */
  | "invalid"
  /** The peer's disk takes nothing at the moment. */
  | "storage"
  /** It has nothing of the document, and does not say why: this repo may not create it there, or not see it. */
  | "unavailable"
  /** There is no room for it: for records, whose hub bounds what a device may write. */
  | "full"
  /** That peer keeps only the end of the history, and this repo lacks what is before that: who keeps all has it. */
  | "trimmed";

export interface DocInfo {
  docId: string;
  /** The application holds a handle. */
  open: boolean;
  /** It is in memory. */
  loaded: boolean;
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

/** What is wrong with storage, or was noticed. */
export type StorageProblem =
  /** The quota or disk is full: `usage` and `quota` say how full. Tried again from time to time. */
  | "quota"
  /** The browser, or another tab that deletes the database, has closed the connection. It is opened again. */
  | "connection-lost"
  /** There is no storage, as in some private windows. */
  | "unavailable"
  /** What was stored last time, or a moment ago, is gone: what is in memory is stored again. */
  | "evicted"
  /** Another tab keeps an older database open: nothing is stored until it is closed or reloaded. */
  | "blocked"
  /** A newer version of the page uses the database: nothing is stored until this one is reloaded. */
  | "superseded"
  /** Stored bytes of a document are not what was written. They are kept; `repo.salvage` reads them. */
  | "corrupt"
  | "other";

export interface StorageHealth {
  /** "failing": kept in memory and tried again. "unavailable": the repo works from memory. "none": there is no storage adapter. */
  state: "none" | "opening" | "working" | "failing" | "unavailable";
  problem?: StorageProblem;
  error?: RepoError;
  /** Whether the browser has promised to keep what is stored. It is asked at the first write; until then this is missing. */
  persisted?: boolean;
  /** Bytes in use and bytes there may be, as the browser estimated them last. */
  usage?: number;
  quota?: number;
  /** What was stored last time, or before the database was deleted, is gone. */
  evicted: boolean;
  /** Documents with stored bytes that cannot be read. The bytes are kept, the rest works. */
  quarantined: string[];
  /**
   * Rows of records that cannot be read. Their records are asked for again, from whoever is connected; until then the bytes are kept.
   * Without a collection and key where even that cannot be read.
   */
  damagedRecords: { collection?: string; key?: string; owner?: string; bytes: Uint8Array }[];
}

/** A stored record as it is. */
export interface RawRecord {
  key: string;
  /** Missing if that cannot be told. */
  kind?: "snapshot" | "update";
  /** A Loro export, unless damaged. */
  bytes: Uint8Array;
}

export interface RepoEvents {
  "document-added": { type: "document-added"; docId: string };
  "document-removed": { type: "document-removed"; docId: string };
  "peer-connected": { type: "peer-connected"; peerId: string };
  "peer-disconnected": { type: "peer-disconnected"; peerId: string };
  /**
   * An edit came that depends on trimmed history, so all of it was fetched again: `handle.doc` is another `LoroDoc` now, with everything the
   * one before had. That one refuses edits, and what listened to it listens to nothing any more.
   */
  "document-renewed": { type: "document-renewed"; docId: string };
  "ready-state-changed": { type: "ready-state-changed"; docId: string };
  /** `repo.storageHealth` has changed. With `ok` storage works again, or there is no bad news. Of one document's records it says `docId`. */
  "storage-health": { type: "storage-health"; ok: boolean; problem?: StorageProblem; error?: RepoError; docId?: string };
  /**
   * The records of a document of a mebibyte or more are read, or one snapshot takes their place: told when that begins, and with `done`
   * when it has ended. `bytes` are those read or written, `records` those read or replaced.
   */
  "storage-progress": { type: "storage-progress"; docId: string; work: "load" | "compaction"; bytes: number; records: number; done: boolean };
  /**
   * A peer did not take what is here of a document: it stays unsynced, is kept here, and is offered again in `retryMs` milliseconds.
   * Told once per reason, until the peer takes it. Only by peers that speak corella's extension of the protocol.
   */
  refused: { type: "refused"; docId: string; peerId: string; reason: RefusalReason; retryMs: number };
  /** `handle.unsynced` or `handle.durability` of a document, or without `docId` those of records, may have changed. `unsynced` is the repo's. */
  "unsynced-changed": { type: "unsynced-changed"; docId?: string; unsynced: number };
  "adapter-changed": { type: "adapter-changed"; adapter: number };
  error: { type: "error"; error: RepoError; docId?: string };
}

export interface BackupProgress {
  /** Documents and deletions done. */
  documents: number;
  /** Documents and deletions there are. */
  total: number;
  /** Bytes of the file. */
  bytes: number;
}

export interface BackupOptions {
  onProgress?: (progress: BackupProgress) => void;
  signal?: AbortSignal;
}

export interface ImportResult {
  /** Documents merged. */
  documents: number;
  /** Deletions taken over. */
  tombstones: number;
  /** Documents left out: they were deleted here, or made anew since. */
  skipped: string[];
  /** Documents with damaged records; what could be read of them is merged. */
  damaged: string[];
}

/** A local-first repository of documents. */
export class Repo {
  private constructor();
  static open(options?: RepoOptions): Promise<Repo>;
  /** A decimal u64, fresh for every repo. */
  readonly peerId: string;
  /**
   * Opens a document, at once; the same handle for the same id, until the document is deleted or forgotten.
   * @throws RepoError "deleted" if it was deleted and storage has been read; `create` with `replace` makes it anew
   */
  get(docId: string): DocHandle;
  /**
   * Makes a document and opens it. With `replace` one that exists is deleted first, and one that was deleted is made anew: it begins
   * empty, and nothing of the old one merges into it, except through peers that speak only loro-extended's protocol.
   * Handles of the old one are then of no more use.
   * @throws RepoError "exists", without `replace`: it is open, stored or announced by a peer, or was deleted. Known when storage has
   * been read; offline nobody can say what other devices have.
   */
  create(docId: string, options?: { replace?: boolean }): DocHandle;
  /** Every document known here, open or not. */
  list(): DocInfo[];
  /**
   * Deletes a document here and in storage, and at the peers whose `deletion` permission allows it. The deletion is remembered here
   * and there, half a year and for 100000 documents unless `tombstones` says otherwise, so that a device that was away does not
   * bring the document back. Its handles throw "deleted" from now on. Completes when storage has done it.
   * @throws RepoError "storage"
   */
  delete(docId: string): Promise<void>;
  /**
   * Drops this repo's copy of a document, in memory and in storage, and no longer follows it. Nobody else is concerned: opened again
   * it comes back from those who have it. Edits that no other machine has are lost: wait for `handle.whenDurable("hub")` first.
   * Completes when storage has done it.
   * @throws RepoError "storage"
   */
  forget(docId: string): Promise<void>;
  /**
   * Says that the permission hooks give other answers now: what a peer may no longer see stops flowing at once, what it may see now
   * is compared with it.
   */
  permissionsChanged(): void;
  /**
   * The number of operations that no other machine has confirmed, in documents opened since the repo was, and of records with something
   * that no other device is known to have. A character typed is one operation.
   */
  readonly unsynced: number;
  /**
   * Opens a collection of records: small facts that are listed and synced without being loaded one by one, and without a history. In an
   * "owned" one every device writes records of its own, which others read; in a "shared" one everybody writes all, and of two who write
   * the same field at once the later stands, everywhere. They are kept, synced and backed by the durability ladder as documents are. One
   * name is one kind everywhere; the same collection for the same name.
   * @throws RepoError "invalid-argument": also for a name that is open as the other kind
   */
  collection<T extends RecordValue = RecordValue>(name: string, options: { kind: "owned" }): OwnedCollection<T>;
  collection<T extends RecordValue = RecordValue>(name: string, options: { kind: "shared" }): SharedCollection<T>;
  /** The device records are written as, 16 hexadecimal digits: one for all tabs and sessions of a storage; without storage one of its own. */
  readonly device: Promise<string>;
  /** What is known of documents without loading them. From its first use on this repo notes here what it opens, edits and deletes. */
  readonly catalogue: Catalogue;
  readonly peers: PeerInfo[];
  readonly adapters: AdapterInfo[];
  /** Asks the network peers which documents they have; the answers come as "document-added". */
  discover(): void;
  on<Name extends keyof RepoEvents>(event: Name, listener: (event: RepoEvents[Name]) => void): () => void;
  /** Completes when everything edited so far is on disk. */
  flush(): Promise<void>;
  /** How storage is doing. Edits never fail because of it. */
  readonly storageHealth: StorageHealth;
  /**
   * Reads what storage has of a document as it is, whether or not it can be opened. Changes nothing.
   * @throws RepoError "storage"
   */
  salvage(docId: string): Promise<RawRecord[]>;
  /**
   * The whole repo as one file, in pieces: every document with its history, what is remembered of deleted ones, and all records. What is edited
   * meanwhile may or may not be in it. The stream fails with "storage", "aborted" or "closed"; half a file is of no use.
   */
  export(options?: BackupOptions): ReadableStream<Uint8Array>;
  /**
   * Merges a file of `export`, as if it came from a peer: nothing here is lost, and what was deleted here stays deleted. Every document is
   * checked before it is merged. Of owned records those of this device are. Completes when all is stored, where there is storage.
   * @throws RepoError "decode" if it is no backup, damaged, cut off or of a newer version: what came before that is merged;
   * "storage", "aborted", "closed"
   */
  import(
    file: Blob | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> | Uint8Array,
    options?: BackupOptions,
  ): Promise<ImportResult>;
  /**
   * Merges the documents that loro-extended keeps in IndexedDB of this origin, in the database "loro-extended-app" unless told; that is left
   * as it is. Without such a database nothing happens.
   * @throws RepoError "storage", "closed"
   */
  importLoroExtended(options?: { database?: string }): Promise<ImportResult>;
  /** Flushes, leaves the peers and releases everything. Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** JSON, and bytes. Of objects, fields that are `undefined` are left out. */
export type RecordValue = null | boolean | number | string | Uint8Array | RecordValue[] | { [field: string]: RecordValue | undefined };

/** A record that has changed. */
export interface RecordChange {
  key: string;
  /** Its device, in an owned collection. */
  owner?: string;
  /** It is gone; otherwise it was written. */
  deleted: boolean;
  /** This repo did it; otherwise another tab, device or the hub. */
  local: boolean;
}

/** Records of one name. Every call waits until storage has been read, and all are done in their order. */
export class Collection<T extends RecordValue = RecordValue> {
  #private;
  private constructor();
  readonly name: string;
  readonly kind: "owned" | "shared";
  /**
   * Writes a whole record: what was there is replaced. A key has 1 to 512 UTF-8 bytes, a record at most 262144 bytes, 1024 fields and
   * 64 levels.
   * @throws RepoError "invalid-argument", "closed"
   */
  put(key: string, value: T): Promise<void>;
  /** As `put`. @throws RepoError "exists" */
  insert(key: string, value: T): Promise<void>;
  /** Writes some fields of a record that is an object. @throws RepoError "not-found" if it is not there, "invalid-argument", "closed" */
  update(key: string, fields: Partial<T>): Promise<void>;
  /** Deletes a record, and tells whether it was there. */
  delete(key: string): Promise<boolean>;
  /** Calls `listener` with what has changed, here or elsewhere. */
  subscribe(listener: (changes: RecordChange[]) => void): () => void;
  /** How safe all records of the repo are. */
  durability(): Promise<Durability>;
  /** Completes when all records of the repo that are here now are as safe as `level` says. @throws RepoError "timeout", "aborted", "closed" */
  whenDurable(level: Durability, options?: WaitOptions): Promise<void>;
}

/** Records that everybody writes who may. */
export interface SharedCollection<T extends RecordValue = RecordValue> extends Collection<T> {
  readonly kind: "shared";
  get(key: string): Promise<T | undefined>;
  /** Lists records by key. Values are decoded for those that are listed only. */
  entries(filter?: { prefix?: string; limit?: number }): Promise<{ key: string; value: T }[]>;
  /** The same without values, which are not even decoded. */
  keys(filter?: { prefix?: string; limit?: number }): Promise<{ key: string }[]>;
}

/** Records that each device writes for itself. */
export interface OwnedCollection<T extends RecordValue = RecordValue> extends Collection<T> {
  readonly kind: "owned";
  /** Reads a record of this device, or of another `owner`. */
  get(key: string, options?: { owner?: string }): Promise<T | undefined>;
  /** Lists records by owner and key, of all devices unless told. Values are decoded for those that are listed only. */
  entries(filter?: { owner?: string; prefix?: string; limit?: number }): Promise<{ key: string; owner: string; value: T }[]>;
  /** The same without values, which are not even decoded. */
  keys(filter?: { owner?: string; prefix?: string; limit?: number }): Promise<{ key: string; owner: string }[]>;
}

/** What is known of a document without loading it. */
export interface CatalogueEntry {
  docId: string;
  title?: string;
  /** In order. */
  labels: string[];
  /** What the application keeps with it. */
  data?: RecordValue;
  /** When it was first put into the catalogue, milliseconds since the Unix epoch. */
  created?: number;
  /** When it was last written here, or known to be edited elsewhere, within a minute. */
  updated?: number;
  /** When devices opened it last, the latest first. `name` is that of the repo that did, `identity.name`. */
  opened: { device: string; name?: string; at: number }[];
}

/**
 * Titles, labels and times of documents, shared with everybody who may see them: permissions are asked with the id of the document. Kept in
 * the collections "corella:catalogue" and "corella:opened".
 */
export class Catalogue {
  #private;
  private constructor();
  /** Of every document that is in the catalogue or in the repo, by id. */
  list(): Promise<CatalogueEntry[]>;
  get(docId: string): Promise<CatalogueEntry | undefined>;
  /** Sets the title, at most 1000 UTF-8 bytes, the labels, 1 to 200 bytes each, the application's data. What is not given stays. */
  set(docId: string, facts: { title?: string; labels?: string[]; data?: RecordValue }): Promise<void>;
  /** Notes that a document of the catalogue was edited now; `handle.change` does it by itself. */
  touch(docId: string): Promise<void>;
  /** Takes a document out of the catalogue; `repo.delete` does it by itself. */
  delete(docId: string): Promise<void>;
  /** Calls `listener` with the ids of documents of which something has changed here. */
  subscribe(listener: (docIds: string[]) => void): () => void;
}

export interface WaitOptions {
  /** Milliseconds, 30000 unless told; 0 for none. */
  timeout?: number;
  signal?: AbortSignal;
}

export interface WaitForSyncOptions extends WaitOptions {
  kind?: "network" | "storage";
}

/** What one author did without others' changes in between. It may still grow while it is its author's latest. */
export interface HistoryChange {
  /** The Loro peer that made it, `doc.peerIdStr` there. Not a repo's peer id, and another one each time a document is opened. */
  readonly author: PeerID;
  /** The number of its first operation among its author's. */
  readonly counter: number;
  /** Operations. */
  readonly length: number;
  /** The Lamport time of its first operation: greater than those of everything it depends on. */
  readonly lamport: number;
  /** Milliseconds since the Unix epoch, in whole seconds, by its author's clock; undefined where it was not recorded. */
  readonly time: number | undefined;
  /** What was given to `change` or `commit`. */
  readonly message: string | undefined;
  /** The last operations its author knew of when it began. */
  readonly deps: OpId[];
  /** The document as its author had it after the change: for `checkout`, `forkAt`, `diff` and `revertTo`. */
  readonly frontiers: OpId[];
}

export interface HistoryPageOptions {
  /** Only what comes before this change: the last one of the page before. */
  before?: Pick<HistoryChange, "author" | "lamport">;
  /** Changes at most, 100 unless told. */
  limit?: number;
}

/**
 * The committed changes of a document. Nothing is kept between calls and a call reads no more than it returns, so that a long history
 * can be paged through while the document changes. Iterating goes through all changes, newest first.
 */
export interface History extends Iterable<HistoryChange> {
  /** How many changes there are. */
  readonly length: number;
  /** The Lamport time after the newest operation: `at(end)` is everything. */
  readonly end: number;
  /** The version before which the history is trimmed, see `RepoOptions.history`: `checkout` goes no further back. Empty for all of it. */
  readonly begins: OpId[];
  /**
   * The newest changes, newest first: by Lamport time, then by author. Empty when there are none left.
   * @throws RepoError "invalid-argument"
   */
  page(options?: HistoryPageOptions): HistoryChange[];
  /**
   * The version with every operation before a Lamport time, for `checkout`, `forkAt`, `diff` and `revertTo`. From 0 to `end` these are
   * the document's versions in one line, each with the next operation, or those made at the same time.
   * @throws RepoError "invalid-argument"
   */
  at(lamport: number): OpId[];
}

/** A document of a repo. */
export class DocHandle {
  private constructor();
  readonly docId: string;
  /** Its commits record their time, unlike those of a bare `LoroDoc`; `setRecordTimestamp(false)` ends that. */
  readonly doc: LoroDoc;
  readonly history: History;
  /**
   * Edits the document in one commit. What an `fn` that throws had done is committed all the same.
   * @throws RepoError "deleted", "closed"; `fn` is not called then
   */
  change<T>(fn: (doc: LoroDoc) => T, options?: Pick<CommitOptions, "message" | "origin">): T;
  subscribe(listener: (event: LoroEventBatch) => void): () => void;
  readonly readyStates: ReadyState[];
  /**
   * Completes when a peer of the kind, "network" unless told, said that it has what is here now, and everything it announced is here.
   * @throws RepoError "timeout", "aborted", "no-adapter", "deleted", "closed"
   */
  waitForSync(options?: WaitForSyncOptions): Promise<void>;
  /** How safe what is here now is; what is not committed does not count. */
  readonly durability: Durability;
  /**
   * Completes when what is here now is at least as safe as `level`; what is edited meanwhile is not waited for.
   * @throws RepoError "timeout", "aborted", "deleted", "closed", and "no-adapter" if no adapter of this repo could bring it about
   */
  whenDurable(level: Durability, options?: WaitOptions): Promise<void>;
  /** The number of operations here that no other machine has confirmed. A character typed is one operation. */
  readonly unsynced: number;
  /** Unpersisted state shared with the document's peers. */
  ephemeral<T extends Record<string, Value> = Record<string, Value>>(namespace: string): EphemeralStore<T>;
  /**
   * Says that the application is done with the document, and ends its presence there. What was edited is stored and sent all the same,
   * and the document may leave memory then. The handle and its ephemeral stores throw "closed" from now on; a `LoroDoc` kept beyond
   * it can be read, and refuses edits once the document has left memory. `repo.get` gives another handle.
   */
  close(): void;
  [Symbol.dispose](): void;
}
