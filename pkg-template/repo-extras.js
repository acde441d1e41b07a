// What the full build adds to Repo: collections of records, the catalogue, backups.
import { checkedOptions, exported, imported, isFile } from "./backup.js";
import { Catalogue } from "./catalogue.js";
import { Collection } from "./collection.js";
import { invalid, record } from "./errors.js";

/** Collections by name, and the device, of each repo. */
const kept = new WeakMap();

function keptOf(repo) {
  if (!kept.has(repo)) kept.set(repo, { collections: new Map() });
  return kept.get(repo);
}

const members = {
  /** A collection of records; the same one for the same name. */
  collection(name, options) {
    const inner = this.__module();
    if (typeof name !== "string") throw invalid("the name of a collection is a string");
    const { kind } = record("the options of collection", options, ["kind"]);
    if (kind !== "owned" && kind !== "shared") throw invalid('kind is "owned" or "shared"');
    const { collections } = keptOf(this);
    const known = collections.get(name);
    if (known?.kind === kind) return known;
    const repo = { check: () => void this.__module(), edited: () => this.__edited() };
    const made = new Collection(name, kind, inner.collection(name, kind === "shared"), repo);
    collections.set(name, made);
    return made;
  },

  /** The device this repo writes records as: the same for all tabs and sessions of one storage. */
  get device() {
    const inner = this.__module();
    return (keptOf(this).device ??= inner.device());
  },

  /** What is known of documents without loading them. */
  get catalogue() {
    this.__module();
    return (this.__catalogue ??= new Catalogue(this));
  },

  /** The whole repo as one file, in pieces. */
  export(options) {
    const inner = this.__module();
    const checked = checkedOptions("export", record("the options of export", options, ["onProgress", "signal"]));
    return exported(inner.export(), checked);
  },

  /** Merges such a file. */
  async import(file, options) {
    const inner = this.__module();
    const checked = checkedOptions("import", record("the options of import", options, ["onProgress", "signal"]));
    if (!isFile(file)) throw invalid("a backup is a Blob, a ReadableStream, an async iterable of Uint8Arrays, or a Uint8Array");
    return imported(inner.import(), file, checked);
  },

  /** Takes over what loro-extended keeps in IndexedDB. */
  async importLoroExtended(options) {
    const inner = this.__module();
    const { database } = record("the options of importLoroExtended", options, ["database"]);
    if (database !== undefined && (typeof database !== "string" || database === "")) throw invalid("database is a non-empty string");
    return inner.importLoroExtended(database);
  },
};

/** Adds the members; called when the class is there. */
export function completeRepo(Repo) {
  for (const [name, member] of Object.entries(Object.getOwnPropertyDescriptors(members))) {
    Object.defineProperty(Repo.prototype, name, { ...member, enumerable: false });
  }
}
