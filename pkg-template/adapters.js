// What a repo is connected with. Plain descriptions until a repo is opened with them: they exist before the module is loaded.
import { RepoError, invalid } from "./errors.js";

/** Returns the options as an object with known keys only. */
function checked(name, options, known) {
  if (options === undefined) return {};
  if (typeof options !== "object" || options === null) throw invalid(`${name} takes an object of options`);
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) throw invalid(`${name} has no option ${JSON.stringify(key)}; it has ${known.join(", ")}`);
  }
  return options;
}

function optionalName(owner, key, value) {
  if (value === undefined) return undefined;
  if (typeof value !== "string" || value === "") throw invalid(`${owner}: ${key} is a non-empty string`);
  return value;
}

class Adapter {
  #repo;

  constructor(kind, name) {
    this.kind = kind;
    this.name = name;
  }

  /** Used by Repo.open: an adapter serves one repo. */
  __attach(repo) {
    if (this.#repo !== undefined) throw invalid(`this ${this.name} adapter already serves a repo; make one for each`);
    this.#repo = repo;
  }

  get __repo() {
    return this.#repo;
  }
}

/** Keeps documents in IndexedDB. */
export class IndexedDBAdapter extends Adapter {
  constructor(options) {
    super("storage", "indexeddb");
    const { database } = checked("IndexedDBAdapter", options, ["database"]);
    this.__options = { type: "indexeddb", database: optionalName("IndexedDBAdapter", "database", database) };
  }
}

/** Connects to a hub, again and again; tabs share one connection. */
export class WebSocketAdapter extends Adapter {
  constructor(options) {
    super("network", "websocket");
    const { url, shared = true } = checked("WebSocketAdapter", options, ["url", "shared"]);
    if (typeof shared !== "boolean" && (typeof shared !== "string" || shared === "")) {
      throw invalid("WebSocketAdapter: shared is true, false or a non-empty string");
    }
    if (typeof url === "string") {
      let protocol;
      try {
        ({ protocol } = new URL(url));
      } catch (cause) {
        throw new RepoError("invalid-argument", `WebSocketAdapter: ${JSON.stringify(url)} is not an address`, { cause });
      }
      if (!["ws:", "wss:", "http:", "https:"].includes(protocol)) {
        throw invalid(`WebSocketAdapter: url begins with ws:// or wss://, not ${protocol}//`);
      }
    } else if (typeof url !== "function") {
      throw invalid("WebSocketAdapter: url is a string, or a function that gives one or a promise of one");
    }
    this.__options = { type: "websocket", url, shared, paused: false };
  }

  /** Connects again after `disconnect`. */
  connect() {
    this.#set(true);
  }

  /** Leaves the hub until `connect`. */
  disconnect() {
    this.#set(false);
  }

  /** "off", "connecting", "open", "waiting" or "closed". */
  get state() {
    return this.__repo?.__adapterState(this) ?? "off";
  }

  /** Whose connection it uses: "alone", "leader" (its own, for all tabs) or "follower" (another tab's). */
  get part() {
    return this.__repo?.__socketPart(this) ?? "alone";
  }

  #set(connected) {
    this.__options.paused = !connected;
    this.__repo?.__setConnected(this, connected);
  }
}

/** Connects the tabs and workers of one origin. */
export class BroadcastChannelAdapter extends Adapter {
  constructor(options) {
    super("tabs", "broadcast-channel");
    const { name } = checked("BroadcastChannelAdapter", options, ["name"]);
    this.__options = { type: "broadcast-channel", name: optionalName("BroadcastChannelAdapter", "name", name) };
  }
}

export function isAdapter(value) {
  return value instanceof Adapter;
}
