// Ephemeral state: unpersisted, per peer, last writer wins.
import { WasmEphemeralStore } from "./corella.js";
import { invalid } from "./errors.js";

/** Throws what a listener threw without stopping the others. */
export function call(listener, ...args) {
  try {
    listener(...args);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

function listenerOf(value) {
  if (typeof value !== "function") throw invalid("a listener is a function");
  return value;
}

/** A store without a timer: what `EphemeralStore` is made of. */
export class EphemeralStoreWasm {
  #state;
  #listeners = new Set();
  #updateListeners = new Set();
  #queue = [];
  #telling = false;

  constructor(timeout) {
    if (typeof timeout !== "number" || !(timeout > 0)) throw invalid("EphemeralStore: timeout is a number of milliseconds");
    this.#state = new WasmEphemeralStore(timeout);
  }

  set(key, value) {
    if (typeof key !== "string") throw invalid("a key is a string");
    this.#changed(this.#state.set(key, value));
  }

  delete(key) {
    this.#changed(this.#state.delete(key));
  }

  get(key) {
    return this.#state.get(key);
  }

  getAllStates() {
    return this.#state.getAllStates();
  }

  keys() {
    return this.#state.keys();
  }

  isEmpty() {
    return this.#state.keys().length === 0;
  }

  encode(key) {
    return this.#state.encode(key);
  }

  encodeAll() {
    return this.#state.encodeAll();
  }

  apply(bytes) {
    if (!(bytes instanceof Uint8Array)) throw invalid("apply takes a Uint8Array");
    this.#tell(this.#state.apply(bytes));
  }

  removeOutdated() {
    this.#tell(this.#state.removeOutdated());
  }

  /** Calls `listener({ by, added, updated, removed })` after every change; returns the function that ends it. */
  subscribe(listener) {
    this.#listeners.add(listenerOf(listener));
    return () => void this.#listeners.delete(listener);
  }

  /** Calls `listener(bytes)` for every local change; returns the function that ends it. */
  subscribeLocalUpdates(listener) {
    this.#updateListeners.add(listenerOf(listener));
    return () => void this.#updateListeners.delete(listener);
  }

  free() {
    this.#listeners.clear();
    this.#updateListeners.clear();
    this.#state.free();
  }

  #changed(event) {
    if (this.#updateListeners.size === 0) return this.#tell(event);
    const updates = [...event.added, ...event.updated, ...event.removed].map((key) => this.#state.encode(key));
    this.#tell(event, updates.flatMap((bytes) => [...this.#updateListeners].map((listener) => [listener, bytes])));
  }

  /** Calls the listeners; what one of them causes is told when all have been called. */
  #tell(event, more = []) {
    const isOne = event.added.length + event.updated.length + event.removed.length > 0;
    if (isOne) for (const listener of this.#listeners) this.#queue.push([listener, event]);
    this.#queue.push(...more);
    if (this.#telling) return;
    this.#telling = true;
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) call(...next);
    this.#telling = false;
  }
}

/** State on its own, or of a document when made by `handle.ephemeral(namespace)`. */
export class EphemeralStore {
  /** Runs only while there is something that can lapse; a document's state needs none. */
  #timer;
  #ends = new Set();

  constructor(timeout = 30000, bound) {
    this.inner = bound ?? new EphemeralStoreWasm(timeout);
    if (bound === undefined) this.#timer = { every: Math.max(100, timeout / 2), id: undefined };
  }

  set(key, value) {
    if (typeof key !== "string") throw invalid("a key is a string");
    this.inner.set(key, value);
    this.#arm();
  }

  delete(key) {
    this.inner.delete(key);
  }

  get(key) {
    return this.inner.get(key);
  }

  getAllStates() {
    return this.inner.getAllStates();
  }

  keys() {
    return this.inner.keys();
  }

  encode(key) {
    return this.inner.encode(key);
  }

  encodeAll() {
    return this.inner.encodeAll();
  }

  apply(bytes) {
    if (!(bytes instanceof Uint8Array)) throw invalid("apply takes a Uint8Array");
    this.inner.apply(bytes);
    this.#arm();
  }

  /** Calls `listener({ by, added, updated, removed })` after every change; returns the function that ends it. */
  subscribe(listener) {
    return this.#kept(this.inner.subscribe(listenerOf(listener)));
  }

  /** Calls `listener(bytes)` for every local change; returns the function that ends it. */
  subscribeLocalUpdates(listener) {
    return this.#kept(this.inner.subscribeLocalUpdates(listenerOf(listener)));
  }

  /** Sets the entry that stands for this repo. */
  setSelf(value) {
    if (this.#timer) throw invalid("only the ephemeral state of a document has an entry of its own");
    this.inner.setSelf(value);
  }

  /** The entry that stands for this repo. */
  get self() {
    return this.#timer ? undefined : this.inner.getSelf();
  }

  /** The entries of the other peers, by peer id. */
  get peers() {
    return this.#timer ? new Map() : this.inner.peers();
  }

  destroy() {
    if (!this.#timer) return;
    clearTimeout(this.#timer.id);
    for (const end of this.#ends) end();
  }

  [Symbol.dispose ?? Symbol.for("Symbol.dispose")]() {
    this.destroy();
  }

  /** The document's handle is closed: every use is an error from now on. */
  __release(error) {
    const inner = this.inner;
    this.inner = new Proxy(inner, {
      get() {
        throw error();
      },
    });
    inner.free();
  }

  #kept(end) {
    if (!this.#timer) return end;
    const ended = () => {
      this.#ends.delete(ended);
      end();
    };
    this.#ends.add(ended);
    return ended;
  }

  #arm() {
    if (!this.#timer || this.#timer.id !== undefined || this.inner.isEmpty()) return;
    this.#timer.id = setTimeout(() => {
      this.#timer.id = undefined;
      this.inner.removeOutdated();
      this.#arm();
    }, this.#timer.every);
    // A pending check must not keep a Node process alive.
    this.#timer.id?.unref?.();
  }
}
