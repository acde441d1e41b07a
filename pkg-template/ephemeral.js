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

/** State on its own, or of a document when made by `handle.ephemeral(namespace)`. */
export class EphemeralStore {
  #own;
  #timer;
  #listeners = new Set();
  #updateListeners = new Set();

  constructor(timeout = 30000, bound) {
    if (bound !== undefined) {
      this.inner = bound;
      return;
    }
    if (typeof timeout !== "number" || !(timeout > 0)) throw invalid("EphemeralStore: timeout is a number of milliseconds");
    this.#own = new WasmEphemeralStore(timeout);
    this.inner = this.#own;
    // Runs only while there is something that can lapse.
    this.#timer = { every: Math.max(100, timeout / 2), id: undefined };
  }

  set(key, value) {
    if (typeof key !== "string") throw invalid("a key is a string");
    if (!this.#own) return this.inner.set(key, value);
    this.#changed(this.#own.set(key, value));
  }

  delete(key) {
    if (!this.#own) return this.inner.delete(key);
    this.#changed(this.#own.delete(key));
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
    if (!this.#own) return this.inner.apply(bytes);
    this.#tell(this.#own.apply(bytes));
  }

  /** Calls `listener({ by, added, updated, removed })` after every change; returns the function that ends it. */
  subscribe(listener) {
    listenerOf(listener);
    if (!this.#own) return this.inner.subscribe(listener);
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Calls `listener(bytes)` for every local change; returns the function that ends it. */
  subscribeLocalUpdates(listener) {
    listenerOf(listener);
    if (!this.#own) return this.inner.subscribeLocalUpdates(listener);
    this.#updateListeners.add(listener);
    return () => void this.#updateListeners.delete(listener);
  }

  /** Sets the entry that stands for this repo. */
  setSelf(value) {
    if (this.#own) throw invalid("only the ephemeral state of a document has an entry of its own");
    this.inner.setSelf(value);
  }

  /** The entry that stands for this repo. */
  get self() {
    return this.#own ? undefined : this.inner.getSelf();
  }

  /** The entries of the other peers, by peer id. */
  get peers() {
    return this.#own ? new Map() : this.inner.peers();
  }

  destroy() {
    if (this.#timer?.id !== undefined) clearTimeout(this.#timer.id);
    this.#listeners.clear();
    this.#updateListeners.clear();
  }

  [Symbol.dispose ?? Symbol.for("Symbol.dispose")]() {
    this.destroy();
  }

  #changed(event) {
    this.#tell(event);
    if (this.#updateListeners.size > 0) {
      const keys = [...event.added, ...event.updated, ...event.removed];
      for (const key of keys) {
        const bytes = this.#own.encode(key);
        for (const listener of [...this.#updateListeners]) call(listener, bytes);
      }
    }
  }

  #tell(event) {
    this.#arm();
    if (event.added.length + event.updated.length + event.removed.length === 0) return;
    for (const listener of [...this.#listeners]) call(listener, event);
  }

  #arm() {
    if (this.#timer.id !== undefined || this.#own.keys().length === 0) return;
    this.#timer.id = setTimeout(() => {
      this.#timer.id = undefined;
      this.#tell(this.#own.removeOutdated());
    }, this.#timer.every);
    // A pending check must not keep a Node process alive.
    this.#timer.id?.unref?.();
  }
}
