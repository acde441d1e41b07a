// Repo and DocHandle: argument checks, one handle per document, listeners. What they do is done by the module.
import { WasmRepo } from "./corella.js";
import { isAdapter } from "./adapters.js";
import { checkedAdmission, wrappedAdmission } from "./admission.js";
import { EphemeralStore, call } from "./ephemeral.js";
import { RepoError, invalid, record } from "./errors.js";
import { History } from "./history.js";
import { init } from "./ready.js";
import { completeRepo } from "./repo-extras.js";

const EVENTS = [
  "document-added",
  "document-removed",
  "peer-connected",
  "peer-disconnected",
  "document-renewed",
  "ready-state-changed",
  "storage-health",
  "storage-progress",
  "refused",
  "unsynced-changed",
  "adapter-changed",
  "error",
];
// What has become of a document; times 4, how often another has taken its place.
const GONE = 1;
const LOST = 2;
const LEVELS = ["memory", "disk", "hub", "hub-disk"];
const HOOKS = ["visibility", "mutability", "creation", "deletion"];
const DEFAULT_TIMEOUT = 30000;
const dispose = Symbol.dispose ?? Symbol.for("Symbol.dispose");

// How many hooks are running: calls made inside one would change what is being decided.
let hooks = 0;

function outsideHooks() {
  if (hooks > 0) throw new RepoError("reentrant", "a repo must not be called inside one of its permission or admission hooks");
}

function insideHook(work) {
  hooks += 1;
  try {
    return work();
  } finally {
    hooks -= 1;
  }
}

function checkedIdentity(value) {
  const { name, type, peerId } = record("identity", value, ["name", "type", "peerId"]);
  if (name !== undefined && typeof name !== "string") throw invalid("identity.name is a string");
  if (type !== undefined && !["user", "bot", "service"].includes(type)) throw invalid('identity.type is "user", "bot" or "service"');
  if (peerId !== undefined && !(typeof peerId === "string" && /^(0|[1-9][0-9]{0,19})$/.test(peerId) && BigInt(peerId) < 1n << 64n)) {
    throw invalid("identity.peerId is a string of decimal digits below 2^64");
  }
  return { name, type, peerId };
}

function checkedTombstones(value) {
  const { keep, max } = record("tombstones", value, ["keep", "max"]);
  if (keep !== undefined && !(typeof keep === "number" && keep >= 0)) throw invalid("tombstones.keep is a number of milliseconds");
  if (max !== undefined && !(max === Infinity || (Number.isInteger(max) && max >= 0))) throw invalid("tombstones.max is a whole number");
  return { keep, max };
}

function checkedRecords(value) {
  const { drift, lapse } = record("records", value, ["drift", "lapse"]);
  for (const [name, ms] of Object.entries({ drift, lapse })) {
    if (ms !== undefined && !(typeof ms === "number" && ms >= 0)) throw invalid(`records.${name} is a number of milliseconds`);
  }
  return { drift, lapse };
}

function checkedMemory(value) {
  const { documents, bytes } = record("memory", value, ["documents", "bytes"]);
  for (const [name, limit] of Object.entries({ documents, bytes })) {
    const fits = limit === undefined || limit === Infinity || (Number.isSafeInteger(limit) && limit >= 0);
    if (!fits) throw invalid(`memory.${name} is a whole number or Infinity`);
  }
  return { documents, bytes };
}

function checkedHistory(value) {
  const { keep = "all" } = record("history", value, ["keep"]);
  if (keep === "all") return undefined;
  const { days } = record('history.keep, unless it is "all",', keep, ["days"]);
  if (!(typeof days === "number" && days >= 0)) throw invalid('history.keep is "all" or { days }, a number of days');
  return days === Infinity ? undefined : days;
}

function checkedDocId(docId) {
  if (typeof docId !== "string") throw invalid("a document id is a string");
  return docId;
}

/** A local-first repository of documents. */
export class Repo {
  #inner;
  #adapters = [];
  #handles = new Map();
  #name;
  #listeners = new Map();
  #closed = false;
  #reported = new Set();
  #waits = new Set();
  #unsynced = 0;
  #counting = false;
  #stopLeaving = () => {};

  constructor(token) {
    if (token !== Repo.#token) throw invalid("use await Repo.open(options)");
  }

  static #token = {};

  /** Opens a repo and starts its adapters. */
  static async open(options) {
    outsideHooks();
    const known = ["identity", "role", "adapters", "permissions", "admission", "tombstones", "memory", "history", "records"];
    const { identity, role = "leaf", adapters = [], permissions, admission, tombstones, memory, history, records } = record("the options of Repo.open", options, known);
    const who = checkedIdentity(identity);
    if (role !== "leaf" && role !== "relay") throw invalid('role is "leaf" or "relay"');
    const limits = checkedTombstones(tombstones);
    const times = checkedRecords(records);
    const budget = checkedMemory(memory);
    const days = checkedHistory(history);
    const judges = checkedAdmission(admission);
    if (!Array.isArray(adapters) || !adapters.every(isAdapter)) throw invalid("adapters is an array of adapters");
    const asked = record("permissions", permissions, HOOKS);
    for (const name of HOOKS) {
      if (asked[name] !== undefined && typeof asked[name] !== "function") throw invalid(`permissions.${name} is a function`);
    }
    if (new Set(adapters).size !== adapters.length) throw invalid("an adapter is given twice");
    for (const adapter of adapters) {
      if (adapter.__repo !== undefined) adapter.__attach(undefined);
    }
    await init();
    const repo = new Repo(Repo.#token);
    for (const adapter of adapters) adapter.__attach(repo);
    repo.#adapters = [...adapters];
    repo.#name = who.name;
    const wrapped = {};
    for (const name of HOOKS) {
      if (asked[name]) wrapped[name] = repo.#hook(name, asked[name]);
    }
    const judged = judges.map((judge) => wrappedAdmission(judge, insideHook, (error) => repo.#reportOnce("admission", error)));
    repo.#inner = new WasmRepo(
      { ...who, role, tombstones: limits, records: times, memory: budget, historyDays: days, adapters: adapters.map((adapter) => adapter.__options), permissions: wrapped, admission: judged },
      (event) => repo.#deliver(event),
    );
    repo.#flushWhenLeaving();
    return repo;
  }

  /** The repo's own id, fresh for every repo. */
  get peerId() {
    return this.#inner.peerId;
  }

  /** Opens a document, at once; the same handle for the same id. */
  get(docId) {
    this.#check();
    const known = this.#handles.get(checkedDocId(docId));
    if (known && !known.__isGone) return known;
    const handle = this.#keep(docId, this.#inner.get(docId));
    this.__catalogue?.__opened(docId, this.#name);
    return handle;
  }

  /** Makes a document that is not known here, or with `replace` one that starts anew, and opens it. */
  create(docId, options) {
    this.#check();
    checkedDocId(docId);
    const { replace = false } = record("the options of create", options, ["replace"]);
    if (typeof replace !== "boolean") throw invalid("replace is true or false");
    const made = this.#inner.create(docId, replace);
    this.#endWaits();
    return this.#keep(docId, made);
  }

  /** Every document known here, open or not. */
  list() {
    this.#check();
    return this.#inner.list();
  }

  /** Deletes a document here and at the peers that allow it. It stays deleted: who was away does not bring it back. */
  async delete(docId) {
    this.#check();
    const deleting = this.#dropped(docId, this.#inner.delete(checkedDocId(docId)));
    await Promise.all([deleting, this.__catalogue?.delete(docId)]);
  }

  /** Drops this repo's copy of a document; nobody else is concerned. */
  async forget(docId) {
    this.#check();
    await this.#dropped(docId, this.#inner.forget(checkedDocId(docId)));
  }

  /** Says that the permission hooks give other answers now. */
  permissionsChanged() {
    this.#check();
    this.#inner.permissionsChanged();
  }

  /** The number of operations that no other machine has confirmed, in the documents opened so far, and of such records. */
  get unsynced() {
    this.#check();
    return this.#inner.unsynced;
  }

  /** The peers with an established channel. */
  get peers() {
    this.#check();
    return this.#inner.peers();
  }

  /** How the adapters are doing, in the order given. */
  get adapters() {
    this.#check();
    return this.#inner.adapters();
  }

  /** Asks the network peers which documents they have; the answers come as "document-added". */
  discover() {
    this.#check();
    this.#inner.discover();
  }

  /** Calls `listener` for every event of that name; returns the function that ends it. */
  on(event, listener) {
    outsideHooks();
    if (!EVENTS.includes(event)) throw invalid(`there is no event ${JSON.stringify(event)}; there are ${EVENTS.join(", ")}`);
    if (typeof listener !== "function") throw invalid("a listener is a function");
    const entry = { listener };
    if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
    this.#listeners.get(event).add(entry);
    this.#listen();
    return () => {
      if (this.#listeners.get(event)?.delete(entry)) this.#listen();
    };
  }

  /** The module makes no events of these kinds that nobody hears. */
  #listen() {
    if (this.#closed) return;
    const heard = (event) => (this.#listeners.get(event)?.size ?? 0) > 0;
    this.#inner.listenFor(heard("document-added"), heard("ready-state-changed") || this.#isCounted, this.#isCounted);
  }

  /** Completes when everything edited so far is on disk. */
  async flush() {
    this.#check();
    await this.#inner.flush();
  }

  /** How storage is doing. */
  get storageHealth() {
    this.#check();
    return this.#inner.storageHealth;
  }

  /** Reads what storage has of a document as it is, damaged or not. */
  async salvage(docId) {
    this.#check();
    return this.#inner.salvage(checkedDocId(docId));
  }

  /** Flushes, leaves the peers and releases everything. Idempotent. */
  async close() {
    outsideHooks();
    if (this.#closed) return;
    // A handle that was made a moment ago may still note that it was.
    this.__catalogue = undefined;
    this.#closed = true;
    this.#stopLeaving();
    await this.#inner.close();
  }

  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    await this.close();
  }

  /** The module's repo, as long as this one is open. */
  __module() {
    this.#check();
    return this.#inner;
  }

  /** There may be more to confirm. */
  __edited() {
    this.#countSoon();
  }

  __adapterState(adapter) {
    return this.#closed ? "closed" : this.#inner.adapters()[this.#adapters.indexOf(adapter)]?.state;
  }

  __socketPart(adapter) {
    return this.#closed ? undefined : this.#inner.socketPart(this.#adapters.indexOf(adapter));
  }

  __setConnected(adapter, connected) {
    if (!this.#closed) this.#inner.setConnected(this.#adapters.indexOf(adapter), connected);
  }

  /** A page that is hidden may never run again: what is dirty goes to disk now. */
  #flushWhenLeaving() {
    if (typeof document === "undefined") return;
    const leave = () => {
      if (!this.#closed) this.#inner.leave().catch(() => {});
    };
    const hidden = () => document.visibilityState === "hidden" && leave();
    addEventListener("pagehide", leave);
    document.addEventListener("freeze", leave);
    document.addEventListener("visibilitychange", hidden);
    this.#stopLeaving = () => {
      removeEventListener("pagehide", leave);
      document.removeEventListener("freeze", leave);
      document.removeEventListener("visibilitychange", hidden);
    };
  }

  #check() {
    outsideHooks();
    if (this.#closed) throw new RepoError("closed", "the repo is closed");
  }

  /** Asks the application: plain data in, true or false out. Anything else refuses, and is reported once. */
  #hook(name, ask) {
    return (doc, peer) => {
      try {
        Object.freeze(doc.creator);
        const answer = insideHook(() => ask(Object.freeze(doc), Object.freeze(peer)));
        if (typeof answer === "boolean") return answer;
        this.#reportOnce(name, invalid(`permissions.${name} must return true or false at once, not ${typeof answer}`));
      } catch (cause) {
        this.#reportOnce(name, new RepoError("refused", `permissions.${name} threw; that counts as a refusal`, { cause }));
      }
      return false;
    };
  }

  #reportOnce(name, error) {
    if (this.#reported.has(name)) return;
    this.#reported.add(name);
    queueMicrotask(() => this.#deliver({ type: "error", error }));
  }

  #keep(docId, inner) {
    const handle = new DocHandle(docId, inner, {
      isClosed: () => this.#closed,
      edited: () => {
        this.#countSoon(docId);
        if (!this.#closed) this.__catalogue?.__edited(docId);
      },
      released: () => {
        // A document made anew under the same id has another handle.
        if (this.#handles.get(docId) === handle) this.#handles.delete(docId);
      },
      waits: this.#waits,
    });
    this.#handles.set(docId, handle);
    return handle;
  }

  async #dropped(docId, dropping) {
    this.#handles.delete(docId);
    this.#endWaits();
    await dropping;
  }

  /** Nobody will confirm a document that is gone. */
  #endWaits() {
    for (const wait of [...this.#waits]) wait();
  }

  #deliver(event) {
    if (event.type === "document-removed") this.#endWaits();
    if (event.type === "unsynced-changed" && this.#isCounted) event.unsynced = this.#unsynced = this.#inner.unsynced;
    for (const entry of [...(this.#listeners.get(event.type) ?? [])]) {
      if (this.#listeners.get(event.type).has(entry)) call(entry.listener, event);
    }
    if (event.type === "ready-state-changed" || event.type === "document-removed") this.#count(event.docId);
  }

  get #isCounted() {
    return (this.#listeners.get("unsynced-changed")?.size ?? 0) > 0;
  }

  /** Counts once for all edits of a task. */
  #countSoon(docId) {
    if (this.#counting) return;
    this.#counting = true;
    queueMicrotask(() => {
      this.#counting = false;
      this.#count(docId);
    });
  }

  /** The module tells what is confirmed; that there is more to confirm is found out by counting. */
  #count(docId) {
    if (!this.#isCounted || this.#closed) return;
    const unsynced = this.#inner.unsynced;
    if (unsynced !== this.#unsynced) this.#deliver({ type: "unsynced-changed", docId });
  }
}

completeRepo(Repo);

/** A document of a repo. */
export class DocHandle {
  #inner;
  #doc;
  #renewals = 0;
  #history;
  #stores = new Map();
  #repo;
  #closed = false;

  constructor(docId, inner, repo) {
    this.docId = docId;
    this.#inner = inner;
    this.#repo = repo;
  }

  /** The document. */
  get doc() {
    return this.#open(LOST);
  }

  /** The document, unless that has become of it. */
  #open(unless) {
    outsideHooks();
    const state = this.#state;
    if (this.#closed || state & unless) throw this.#gone();
    // Another document takes this one's place when its trimmed history was fetched again.
    const renewals = state >> 2;
    if (renewals !== this.#renewals) {
      this.#renewals = renewals;
      this.#doc = undefined;
    }
    return (this.#doc ??= this.#inner.doc());
  }

  /** The document's changes and versions. */
  get history() {
    outsideHooks();
    return (this.#history ??= new History(this.#inner));
  }

  /** Edits the document in one commit. What an `fn` that throws had done is committed all the same: nothing typed is lost. */
  change(fn, options) {
    const doc = this.#open(GONE | LOST);
    if (typeof fn !== "function") throw invalid("change takes a function");
    const { message, origin } = record("the options of change", options, ["message", "origin"]);
    if (message !== undefined && typeof message !== "string") throw invalid("message is a string");
    if (origin !== undefined && typeof origin !== "string") throw invalid("origin is a string");
    let value;
    let returned = false;
    try {
      value = fn(doc);
      returned = true;
    } finally {
      // A panic's own error must not be hidden by that of a document which is closed since.
      if (returned || !(this.#state & LOST)) doc.commit(message === undefined && origin === undefined ? undefined : { message, origin });
      this.#repo.edited();
    }
    if (typeof value?.then === "function") throw invalid("change takes a function that does its work at once, not an async one");
    return value;
  }

  /** Calls `listener` for every change of the document; returns the function that ends it. */
  subscribe(listener) {
    if (typeof listener !== "function") throw invalid("a listener is a function");
    return this.doc.subscribe(listener);
  }

  /** How every peer that has, or was asked for, the document stands to it. */
  get readyStates() {
    outsideHooks();
    return this.#isDropped ? [] : this.#inner.readyStates();
  }

  /** How safe what is here now is. */
  get durability() {
    outsideHooks();
    return this.#isDropped ? "memory" : this.#inner.durability;
  }

  /** The number of operations here that no other machine has confirmed. */
  get unsynced() {
    outsideHooks();
    return this.#isDropped ? 0 : this.#inner.unsynced;
  }

  /** Completes when a peer of the kind confirmed what is here now and everything it announced is here. */
  async waitForSync(options) {
    this.#check();
    const { kind = "network", ...limits } = record("the options of waitForSync", options, ["kind", "timeout", "signal"]);
    if (kind !== "network" && kind !== "storage") throw invalid('kind is "network" or "storage"');
    await this.#wait(limits, (timeout) => this.#inner.waitForSync(kind === "storage", timeout));
  }

  /** Completes when what is here now is as safe as `level` says. */
  async whenDurable(level, options) {
    this.#check();
    if (!LEVELS.includes(level)) throw invalid(`a level is one of ${LEVELS.map((known) => JSON.stringify(known)).join(", ")}`);
    const limits = record("the options of whenDurable", options, ["timeout", "signal"]);
    await this.#wait(limits, (timeout) => this.#inner.whenDurable(level, timeout));
  }

  async #wait({ timeout = DEFAULT_TIMEOUT, signal }, begin) {
    if (typeof timeout !== "number" || !(timeout >= 0)) throw invalid("timeout is a number of milliseconds, 0 for none");
    if (signal !== undefined && typeof signal?.addEventListener !== "function") throw invalid("signal is an AbortSignal");
    const aborted = () => new RepoError("aborted", "the wait was aborted", { cause: signal.reason });
    if (signal?.aborted) throw aborted();
    const waiting = begin(timeout === 0 || timeout === Infinity ? undefined : timeout);
    waiting.catch(() => {});
    let abort;
    let drop;
    const ended = new Promise((_, reject) => {
      abort = () => reject(aborted());
      // What was begun before the handle was closed ends as it would have.
      drop = () => !this.#closed && this.#isDropped && reject(this.#gone());
    });
    signal?.addEventListener("abort", abort, { once: true });
    this.#repo.waits.add(drop);
    try {
      await Promise.race([waiting, ended]);
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#repo.waits.delete(drop);
    }
  }

  /** Unpersisted state shared with the document's peers; the same store for the same namespace. */
  ephemeral(namespace) {
    this.#check();
    if (typeof namespace !== "string" || namespace === "") throw invalid("a namespace is a non-empty string");
    if (!this.#stores.has(namespace)) this.#stores.set(namespace, new EphemeralStore(undefined, this.#inner.ephemeral(namespace)));
    return this.#stores.get(namespace);
  }

  /** Says that the application is done with the document, and ends its presence there. What it edited is stored and sent all the same. */
  close() {
    outsideHooks();
    if (this.#closed) return;
    this.#closed = true;
    this.#inner.close();
    this.#repo.released();
    for (const store of this.#stores.values()) store.__release(() => this.#gone());
    this.#doc = undefined;
    // What the module keeps for a handle would hold the document in memory.
    this.#inner.free();
  }

  [dispose]() {
    this.close();
  }

  /** What the module says has become of the document. */
  get #state() {
    return this.#closed ? 0 : this.#inner.state;
  }

  get __isGone() {
    return this.#closed || (this.#state & GONE) !== 0;
  }

  /** Dropped from an open repo: what the repo knows under this id concerns another document, if any. */
  get #isDropped() {
    return this.__isGone && (this.#closed || !this.#repo.isClosed());
  }

  #gone() {
    if (this.#repo.isClosed()) return new RepoError("closed", "the repo is closed");
    if (this.#closed) return new RepoError("closed", `this handle of document ${JSON.stringify(this.docId)} is closed; repo.get gives another one`);
    if (this.#state & LOST) return new RepoError("closed", `document ${JSON.stringify(this.docId)} was closed because the engine panicked in it; open it again`);
    return new RepoError("deleted", `document ${JSON.stringify(this.docId)} was deleted or forgotten; this handle is of no more use`);
  }

  #check() {
    outsideHooks();
    if (this.__isGone) throw this.#gone();
  }
}
