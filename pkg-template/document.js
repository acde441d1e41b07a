// The part of the document API that is made of the rest: its free functions and classes, and methods added once the module is loaded.
import { AwarenessWasm, LoroDoc, LoroList, LoroMap, LoroMovableList, isContainer, isValidContainerId } from "./corella.js";
import { invalid } from "./errors.js";

/** loro-crdt's old name of LoroDoc. */
export class Loro extends LoroDoc {}

/** The kind of a container, "Json" for everything else. */
export function getType(value) {
  return isContainer(value) ? value.kind() : "Json";
}

/** The id of the container an operation made. */
export function newContainerID(id, type) {
  return `cid:${id.counter}@${id.peer}:${type}`;
}

/** The id of a root container. */
export function newRootContainerID(name, type) {
  return `cid:root-${name}:${type}`;
}

/** Reads `counter@peer`. */
export function idStrToId(text) {
  const [counter, peer] = text.split("@");
  return { counter: parseInt(counter), peer };
}

/** A value per peer, as loro-crdt had it before EphemeralStore. */
export class Awareness {
  #peer;
  #timeout;
  #timer;
  #listeners = new Set();

  constructor(peer, timeout = 30000) {
    this.inner = new AwarenessWasm(peer, timeout);
    this.#peer = peer;
    this.#timeout = timeout;
  }

  apply(bytes, origin = "remote") {
    this.#tell({ ...this.inner.apply(bytes), removed: [] }, origin);
    this.#arm();
  }

  setLocalState(state) {
    const known = this.inner.getState(this.#peer) != null;
    this.inner.setLocalState(state);
    const peers = [this.inner.peer()];
    this.#tell({ updated: known ? peers : [], added: known ? [] : peers, removed: [] }, "local");
    this.#arm();
  }

  getLocalState() {
    return this.inner.getState(this.#peer);
  }

  getAllStates() {
    return this.inner.getAllStates();
  }

  encode(peers) {
    return this.inner.encode(peers);
  }

  encodeAll() {
    return this.inner.encodeAll();
  }

  addListener(listener) {
    this.#listeners.add(listener);
  }

  removeListener(listener) {
    this.#listeners.delete(listener);
  }

  peers() {
    return this.inner.peers();
  }

  destroy() {
    clearInterval(this.#timer);
    this.#listeners.clear();
  }

  #tell(change, origin) {
    for (const listener of [...this.#listeners]) listener(change, origin);
  }

  #arm() {
    if (this.#timer !== undefined || this.inner.isEmpty()) return;
    this.#timer = setInterval(() => {
      const removed = this.inner.removeOutdated();
      if (removed.length > 0) this.#tell({ updated: [], added: [], removed }, "timeout");
      if (this.inner.isEmpty()) {
        clearInterval(this.#timer);
        this.#timer = undefined;
      }
    }, this.#timeout / 2);
    // A pending check must not keep a Node process alive.
    this.#timer?.unref?.();
  }
}

export function attached(container, method) {
  if (!container.isAttached()) throw invalid(`${method} needs a container that is attached to a document`);
}

/** A position, 0 for what is none. */
export const position = (value) => (typeof value === "number" ? Math.max(0, Math.trunc(value)) || 0 : 0);

const ofLists = {
  getRangeValue(start, end) {
    attached(this, "getRangeValue");
    return this.toJSON().slice(position(start), position(end));
  },
};

const ofMaps = Object.fromEntries(
  ["Text", "Map", "List", "MovableList", "Tree", "Counter"].map((kind) => [
    `ensureMergeable${kind}`,
    function (key) {
      return this.__ensureMergeable(key, kind);
    },
  ]),
);

const ofDocuments = {
  toJsonWithReplacer(replacer) {
    const seen = new Set();
    const replace = (key, value) => {
      const replaced = replacer(key, value);
      if (replaced !== value && isContainer(replaced)) throw invalid("toJsonWithReplacer: a container cannot be replaced by another");
      return replaced;
    };
    const visit = (key, value) => {
      if (typeof value === "string" && !seen.has(value) && isValidContainerId(value)) {
        seen.add(value);
        const container = this.getContainerById(value);
        if (container === undefined) throw invalid(`toJsonWithReplacer: there is no container ${value}`);
        const replaced = replace(key, container);
        const shown = replaced === container ? container.getShallowValue() : replaced;
        return typeof shown === "object" && shown !== null ? layer(shown) : shown;
      }
      return typeof value === "object" && value !== null ? layer(value) : replace(key, value);
    };
    const layer = (value) => {
      if (Array.isArray(value)) return value.map((item, index) => visit(index, item)).filter((item) => item !== undefined);
      return Object.fromEntries(
        Object.entries(value)
          .map(([key, item]) => [key, visit(key, item)])
          .filter(([, item]) => item !== undefined),
      );
    };
    return layer(this.getShallowValue());
  },
};

/** A document that is freed commits what is pending first, and its listeners hear of that. */
function endingWithCommit(release) {
  function free() {
    try {
      this.commit();
    } catch {
      // A document that cannot commit is freed all the same; one that is freed already says so below.
    }
    release.call(this);
  }
  return Symbol.dispose ? { free, [Symbol.dispose]: free } : { free };
}

/** Adds methods to classes: `Class, { name: method, … }, …`. Done when the module is loaded, so that importing the package does nothing. */
export function add(Class, ...groups) {
  for (const methods of groups) {
    for (const name of Reflect.ownKeys(methods)) {
      Object.defineProperty(Class.prototype, name, { value: methods[name], writable: true, configurable: true });
    }
  }
}

export function completeClasses() {
  add(LoroDoc, ofDocuments, endingWithCommit(LoroDoc.prototype.free));
  add(LoroMap, ofMaps);
  add(LoroList, ofLists);
  add(LoroMovableList, ofLists);
}
