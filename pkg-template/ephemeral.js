// Ephemeral state: unpersisted, per peer, last writer wins.
import { EphemeralStoreWasm } from "./corella.js";
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
  /** A document's state has a repo that lets it lapse. */
  #isBound;
  #every;
  /** Runs only while there is something that can lapse. */
  #timer;

  constructor(timeout = 30000, bound) {
    this.inner = bound ?? new EphemeralStoreWasm(timeout);
    this.#isBound = bound !== undefined;
    this.#every = timeout / 2;
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
    return this.inner.subscribe(listenerOf(listener));
  }

  /** Calls `listener(bytes)` for every local change; returns the function that ends it. */
  subscribeLocalUpdates(listener) {
    return this.inner.subscribeLocalUpdates(listenerOf(listener));
  }

  /** Sets the entry that stands for this repo. */
  setSelf(value) {
    if (!this.#isBound) throw invalid("only the ephemeral state of a document has an entry of its own");
    this.inner.setSelf(value);
  }

  /** The entry that stands for this repo. */
  get self() {
    return this.#isBound ? this.inner.getSelf() : undefined;
  }

  /** The entries of the other peers, by peer id. */
  get peers() {
    return this.#isBound ? this.inner.peers() : new Map();
  }

  /** Ends the timer: from now on entries lapse only by `inner.removeOutdated()`. */
  destroy() {
    clearInterval(this.#timer);
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

  #arm() {
    if (this.#isBound || this.#timer !== undefined || this.inner.isEmpty()) return;
    this.#timer = setInterval(() => {
      this.inner.removeOutdated();
      if (!this.inner.isEmpty()) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    }, this.#every);
    // A pending check must not keep a Node process alive.
    this.#timer?.unref?.();
  }
}
