// Collections of records: argument checks. What they do is done by the module.
import { RepoError, invalid } from "./errors.js";

const WRITES = ["put", "insert", "update"];
const LEVELS = ["memory", "disk", "hub", "hub-disk"];
const MAX_DEPTH = 64;

/** Checks that a value is JSON, or bytes. Fields that are `undefined` are as good as missing. */
function checked(value, what, depth = 0) {
  if (value === null || typeof value === "string" || typeof value === "boolean" || value instanceof Uint8Array) return value;
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw invalid(`${what} is ${value}: a record holds finite numbers`);
    return value;
  }
  if (typeof value !== "object") throw invalid(`${what} is ${value === undefined ? "undefined" : `a ${typeof value}`}: a record holds JSON and Uint8Arrays`);
  if (depth >= MAX_DEPTH) throw invalid(`a record nests at most ${MAX_DEPTH} deep`);
  if (Array.isArray(value)) return value.map((item, at) => checked(item, `${what}[${at}]`, depth + 1));
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) throw invalid(`${what} is a ${value.constructor?.name}: a record holds plain objects`);
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(fields.map(([name, field]) => [name, checked(field, `${what}.${name}`, depth + 1)]));
}

function checkedKey(key) {
  if (typeof key !== "string") throw invalid("the key of a record is a string");
  return key;
}

function options(value, known) {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null) throw invalid("options are an object");
  const strange = Object.keys(value).find((name) => !known.includes(name));
  if (strange !== undefined) throw invalid(`there is no option ${JSON.stringify(strange)}; there are ${known.join(", ")}`);
  const { owner, prefix, limit, timeout = 30000 } = value;
  if (owner !== undefined && !(typeof owner === "string" && /^[0-9a-f]{16}$/.test(owner))) throw invalid("owner is a device: 16 hexadecimal digits");
  if (prefix !== undefined && typeof prefix !== "string") throw invalid("prefix is a string");
  if (limit !== undefined && limit !== Infinity && !(Number.isSafeInteger(limit) && limit >= 0)) throw invalid("limit is a whole number");
  if (!(typeof timeout === "number" && timeout >= 0)) throw invalid("timeout is a number of milliseconds, 0 for none");
  return { owner, prefix, limit: limit === Infinity ? undefined : limit, timeout: timeout === 0 || timeout === Infinity ? undefined : timeout };
}

/** Records of one name. */
export class Collection {
  #inner;
  #repo;

  constructor(name, kind, inner, repo) {
    this.name = name;
    this.kind = kind;
    this.#inner = inner;
    this.#repo = repo;
  }

  /** Reads a record. */
  async get(key, given) {
    this.#repo.check();
    const { owner } = options(given, ["owner"]);
    return this.#inner.get(checkedKey(key), owner);
  }

  /** Deletes a record. */
  async delete(key) {
    this.#repo.check();
    const deleted = await this.#inner.delete(checkedKey(key));
    this.#repo.edited();
    return deleted;
  }

  /** Lists records. */
  async entries(filter) {
    this.#repo.check();
    const { owner, prefix, limit } = options(filter, ["owner", "prefix", "limit"]);
    return this.#inner.entries(owner, prefix, limit, true);
  }

  /** Lists the keys of records, without reading their values. */
  async keys(filter) {
    this.#repo.check();
    const { owner, prefix, limit } = options(filter, ["owner", "prefix", "limit"]);
    return this.#inner.entries(owner, prefix, limit, false);
  }

  /** Calls `listener` with what has changed; returns the function that ends it. */
  subscribe(listener) {
    this.#repo.check();
    if (typeof listener !== "function") throw invalid("a listener is a function");
    return this.#inner.subscribe(listener);
  }

  /** How safe all records are. */
  async durability() {
    this.#repo.check();
    return this.#inner.durability();
  }

  /** Completes when all records that are here now are as safe as `level` says. */
  async whenDurable(level, given) {
    this.#repo.check();
    if (!LEVELS.includes(level)) throw invalid(`a level is one of ${LEVELS.map((known) => JSON.stringify(known)).join(", ")}`);
    const { timeout } = options(given, ["timeout", "signal"]);
    const signal = given?.signal;
    if (signal !== undefined && typeof signal?.addEventListener !== "function") throw invalid("signal is an AbortSignal");
    const aborted = () => new RepoError("aborted", "the wait was aborted", { cause: signal.reason });
    if (signal?.aborted) throw aborted();
    const waiting = this.#inner.whenDurable(level, timeout);
    if (!signal) return waiting;
    waiting.catch(() => {});
    let abort;
    const ended = new Promise((_, reject) => signal.addEventListener("abort", (abort = () => reject(aborted())), { once: true }));
    return Promise.race([waiting, ended]).finally(() => signal.removeEventListener("abort", abort));
  }

  async __write(how, key, value) {
    this.#repo.check();
    await this.#inner.write(how, checkedKey(key), checked(value, "the value"));
    this.#repo.edited();
  }
}

for (const how of WRITES) {
  Object.defineProperty(Collection.prototype, how, {
    value: async function (key, value) {
      await this.__write(how, key, value);
    },
    configurable: true,
    writable: true,
  });
}
