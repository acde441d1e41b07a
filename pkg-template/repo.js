// Repo and DocHandle: argument checks, one handle per document, listeners. What they do is done by the module.
import { WasmRepo } from "./corella.js";
import { isAdapter } from "./adapters.js";
import { EphemeralStore, call } from "./ephemeral.js";
import { RepoError, invalid } from "./errors.js";
import { init } from "./ready.js";

const EVENTS = [
  "document-added",
  "document-removed",
  "peer-connected",
  "peer-disconnected",
  "ready-state-changed",
  "storage-health",
  "adapter-changed",
  "error",
];
const HOOKS = ["visibility", "mutability", "creation", "deletion"];
const DEFAULT_TIMEOUT = 30000;
const dispose = Symbol.dispose ?? Symbol.for("Symbol.dispose");

// How many permission hooks are running: calls made inside one would change what is being decided.
let hooks = 0;

function outsideHooks() {
  if (hooks > 0) throw new RepoError("reentrant", "a repo must not be called inside one of its permission hooks");
}

function record(owner, value, known) {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(`${owner} is an object`);
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) throw invalid(`${owner} has no ${JSON.stringify(key)}; it has ${known.join(", ")}`);
  }
  return value;
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

function checkedDocId(docId) {
  if (typeof docId !== "string") throw invalid("a document id is a string");
  return docId;
}

/** A local-first repository of documents. */
export class Repo {
  #inner;
  #adapters = [];
  #handles = new Map();
  #listeners = new Map();
  #closed = false;
  #reported = new Set();
  #stopLeaving = () => {};

  constructor(token) {
    if (token !== Repo.#token) throw invalid("use await Repo.open(options)");
  }

  static #token = {};

  /** Opens a repo and starts its adapters. */
  static async open(options) {
    outsideHooks();
    const { identity, adapters = [], permissions } = record("the options of Repo.open", options, ["identity", "adapters", "permissions"]);
    const who = checkedIdentity(identity);
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
    const wrapped = {};
    for (const name of HOOKS) {
      if (asked[name]) wrapped[name] = repo.#hook(name, asked[name]);
    }
    repo.#inner = new WasmRepo(
      { ...who, adapters: adapters.map((adapter) => adapter.__options), permissions: wrapped },
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
    const handle = new DocHandle(docId, this.#inner.get(docId), () => this.#handles.delete(docId));
    this.#handles.set(docId, handle);
    return handle;
  }

  /** Every document known here, open or not. */
  list() {
    this.#check();
    return this.#inner.list();
  }

  /** Deletes a document from this repo and its storage, for good. */
  async delete(docId) {
    this.#check();
    const deleted = this.#inner.delete(checkedDocId(docId));
    this.#handles.delete(docId);
    await deleted;
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
    return () => void this.#listeners.get(event)?.delete(entry);
  }

  /** Completes when everything edited so far is on disk. */
  async flush() {
    this.#check();
    await this.#inner.flush();
  }

  /** Flushes, leaves the peers and releases everything. Idempotent. */
  async close() {
    outsideHooks();
    if (this.#closed) return;
    this.#closed = true;
    this.#stopLeaving();
    await this.#inner.close();
  }

  async [Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]() {
    await this.close();
  }

  __adapterState(adapter) {
    return this.#closed ? "closed" : this.#inner.adapters()[this.#adapters.indexOf(adapter)]?.state;
  }

  __setConnected(adapter, connected) {
    if (!this.#closed) this.#inner.setConnected(this.#adapters.indexOf(adapter), connected);
  }

  /** A page that is hidden may never run again: what is dirty goes to disk now. */
  #flushWhenLeaving() {
    if (typeof document === "undefined") return;
    const flush = () => {
      if (!this.#closed) this.#inner.flush().catch(() => {});
    };
    const hidden = () => document.visibilityState === "hidden" && flush();
    addEventListener("pagehide", flush);
    document.addEventListener("visibilitychange", hidden);
    this.#stopLeaving = () => {
      removeEventListener("pagehide", flush);
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
      hooks += 1;
      try {
        const answer = ask(Object.freeze(doc), Object.freeze(peer));
        if (typeof answer === "boolean") return answer;
        this.#reportOnce(name, invalid(`permissions.${name} must return true or false at once, not ${typeof answer}`));
      } catch (cause) {
        this.#reportOnce(name, new RepoError("refused", `permissions.${name} threw; that counts as a refusal`, { cause }));
      } finally {
        hooks -= 1;
      }
      return false;
    };
  }

  #reportOnce(name, error) {
    if (this.#reported.has(name)) return;
    this.#reported.add(name);
    queueMicrotask(() => this.#deliver({ type: "error", error }));
  }

  #deliver(event) {
    for (const entry of [...(this.#listeners.get(event.type) ?? [])]) {
      if (this.#listeners.get(event.type).has(entry)) call(entry.listener, event);
    }
  }
}

/** A document of a repo. */
export class DocHandle {
  #inner;
  #doc;
  #stores = new Map();
  #released;

  constructor(docId, inner, released) {
    this.docId = docId;
    this.#inner = inner;
    this.#released = released;
  }

  /** The document. */
  get doc() {
    outsideHooks();
    return (this.#doc ??= this.#inner.doc());
  }

  /** Edits the document in one commit. What an `fn` that throws had done is committed all the same: nothing typed is lost. */
  change(fn, options) {
    this.#check();
    if (typeof fn !== "function") throw invalid("change takes a function");
    const { message, origin } = record("the options of change", options, ["message", "origin"]);
    if (message !== undefined && typeof message !== "string") throw invalid("message is a string");
    if (origin !== undefined && typeof origin !== "string") throw invalid("origin is a string");
    const doc = this.doc;
    let value;
    try {
      value = fn(doc);
    } finally {
      doc.commit(message === undefined && origin === undefined ? undefined : { message, origin });
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
    return this.#inner.readyStates();
  }

  /** Completes when a peer of the kind confirmed what is here now and everything it announced is here. */
  async waitForSync(options) {
    this.#check();
    const { kind = "network", timeout = DEFAULT_TIMEOUT, signal } = record("the options of waitForSync", options, ["kind", "timeout", "signal"]);
    if (kind !== "network" && kind !== "storage") throw invalid('kind is "network" or "storage"');
    if (typeof timeout !== "number" || !(timeout >= 0)) throw invalid("timeout is a number of milliseconds, 0 for none");
    const aborted = () => new RepoError("aborted", "the wait was aborted", { cause: signal.reason });
    if (signal?.aborted) throw aborted();
    const waiting = this.#inner.waitForSync(kind === "storage", timeout === 0 || timeout === Infinity ? undefined : timeout);
    if (!signal) return waiting;
    let stop;
    const abort = new Promise((_, reject) => {
      stop = () => reject(aborted());
      signal.addEventListener("abort", stop, { once: true });
    });
    waiting.catch(() => {});
    try {
      await Promise.race([waiting, abort]);
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** Unpersisted state shared with the document's peers; the same store for the same namespace. */
  ephemeral(namespace) {
    this.#check();
    if (typeof namespace !== "string" || namespace === "") throw invalid("a namespace is a non-empty string");
    if (!this.#stores.has(namespace)) this.#stores.set(namespace, new EphemeralStore(undefined, this.#inner.ephemeral(namespace)));
    return this.#stores.get(namespace);
  }

  /** Says that the application is done with the document; what it edited is stored and sent all the same. */
  close() {
    outsideHooks();
    this.#inner.close();
    this.#released();
  }

  [dispose]() {
    this.close();
  }

  get __isGone() {
    return this.#inner.isGone;
  }

  #check() {
    outsideHooks();
    if (this.#inner.isGone) throw new RepoError("closed", `document ${JSON.stringify(this.docId)} was deleted or its repo closed`);
  }
}
