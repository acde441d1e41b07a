// The catalogue: what is known of documents without loading them, kept in two collections.
import { invalid } from "./errors.js";

const LABEL = "label:";
const MAX_TITLE = 1000;
const MAX_LABEL = 200;
/** Milliseconds between two notes of a time. */
const PAUSE = 60000;

const isText = (value, max) => typeof value === "string" && value !== "" && new TextEncoder().encode(value).length <= max;

function checkedId(docId) {
  if (typeof docId !== "string" || docId === "") throw invalid("a document id is a non-empty string");
  return docId;
}

/** Titles, labels and times of documents, shared by all; when each device opened them, owned by it. */
export class Catalogue {
  #documents;
  #opened;
  #repo;
  #noted = new Map();

  constructor(repo) {
    this.#repo = repo;
    // The hooks of permissions are asked about these with the document's id.
    this.#documents = repo.collection("corella:catalogue", { kind: "shared" });
    this.#opened = repo.collection("corella:opened", { kind: "owned" });
  }

  /** Everything known, of every document that is in the catalogue or in the repo, by id. */
  async list() {
    const [documents, opened] = await Promise.all([this.#documents.entries(), this.#opened.entries()]);
    const entries = new Map();
    const entry = (docId) => {
      if (!entries.has(docId)) entries.set(docId, { docId, labels: [], opened: [] });
      return entries.get(docId);
    };
    for (const { docId, updated } of this.#repo.list()) Object.assign(entry(docId), updated && { updated });
    for (const { key, value } of documents) fill(entry(key), value);
    // What was deleted has nothing but traces.
    for (const { key, owner, value } of opened) if (entries.has(key)) entry(key).opened.push(opening(owner, value));
    for (const { opened } of entries.values()) opened.sort((a, b) => b.at - a.at);
    return [...entries.values()].sort((a, b) => (a.docId < b.docId ? -1 : 1));
  }

  /** The same of one document. */
  async get(docId) {
    checkedId(docId);
    const [value, opened] = await Promise.all([this.#documents.get(docId), this.#opened.entries({ prefix: docId })]);
    const info = this.#repo.list().find((known) => known.docId === docId);
    if (value === undefined && !info) return undefined;
    const entry = { docId, labels: [], opened: [], ...(info?.updated && { updated: info.updated }) };
    if (value !== undefined) fill(entry, value);
    entry.opened = opened.filter(({ key }) => key === docId).map(({ owner, value }) => opening(owner, value));
    entry.opened.sort((a, b) => b.at - a.at);
    return entry;
  }

  /** Sets the title, the labels, the application's data, or some of them. */
  async set(docId, facts) {
    checkedId(docId);
    if (typeof facts !== "object" || facts === null) throw invalid("the facts of a document are an object with a title, labels or data");
    const strange = Object.keys(facts).find((name) => !["title", "labels", "data"].includes(name));
    if (strange !== undefined) throw invalid(`a document in the catalogue has a title, labels and data, no ${JSON.stringify(strange)}`);
    const { title, labels, data } = facts;
    if (title !== undefined && title !== "" && !isText(title, MAX_TITLE)) throw invalid(`a title is a string of at most ${MAX_TITLE} UTF-8 bytes`);
    if (labels !== undefined && !(Array.isArray(labels) && labels.every((label) => isText(label, MAX_LABEL)))) {
      throw invalid(`labels are an array of strings of 1 to ${MAX_LABEL} UTF-8 bytes`);
    }
    const known = await this.#documents.get(docId);
    const fields = { updated: Date.now() };
    if (title !== undefined && title !== known?.title) fields.title = title;
    if (labels !== undefined) {
      // Each label is a field, so that two devices can label the same document at once.
      for (const label of labels) if (known?.[LABEL + label] !== true) fields[LABEL + label] = true;
      for (const name of Object.keys(known ?? {})) if (known[name] === true && name.startsWith(LABEL) && !labels.includes(name.slice(LABEL.length))) fields[name] = false;
    }
    if (data !== undefined && JSON.stringify(data) !== JSON.stringify(known?.data)) fields.data = data;
    if (known && Object.keys(fields).length === 1) return;
    if (known) await this.#documents.update(docId, fields);
    else await this.#documents.put(docId, { created: fields.updated, ...fields });
  }

  /** Notes that a document was edited now; `handle.change` does it by itself. */
  async touch(docId) {
    checkedId(docId);
    if (this.#isRecent(`edited ${docId}`)) return;
    const known = await this.#documents.get(docId);
    if (known && Date.now() - (known.updated ?? 0) >= PAUSE) await this.#documents.update(docId, { updated: Date.now() });
  }

  /** Takes a document out of the catalogue; `repo.delete` does it by itself. */
  async delete(docId) {
    checkedId(docId);
    await Promise.all([this.#documents.delete(docId), this.#opened.delete(docId)]);
  }

  /** Calls `listener` with the ids of documents of which something has changed; returns the function that ends it. */
  subscribe(listener) {
    if (typeof listener !== "function") throw invalid("a listener is a function");
    const tell = (changes) => listener([...new Set(changes.map(({ key }) => key))]);
    const ends = [this.#documents.subscribe(tell), this.#opened.subscribe(tell)];
    return () => ends.forEach((end) => end());
  }

  /** A handle was made here. */
  __opened(docId, name) {
    // What fails here costs a time in a list.
    if (!this.#isRecent(`opened ${docId}`)) this.#opened.put(docId, { at: Date.now(), name }).catch(() => {});
  }

  /** A document was edited here. */
  __edited(docId) {
    this.touch(docId).catch(() => {});
  }

  /** Whether this was noted a moment ago; now it is. */
  #isRecent(what) {
    const now = Date.now();
    if (now - (this.#noted.get(what) ?? 0) < PAUSE) return true;
    if (this.#noted.size >= 10000) this.#noted.clear();
    this.#noted.set(what, now);
    return false;
  }
}

function fill(entry, value) {
  const { title, created, updated, data } = value ?? {};
  if (data !== undefined) entry.data = data;
  if (typeof title === "string") entry.title = title;
  if (typeof created === "number") entry.created = created;
  if (typeof updated === "number") entry.updated = Math.max(updated, entry.updated ?? 0);
  entry.labels = Object.keys(value ?? {})
    .filter((name) => name.startsWith(LABEL) && value[name] === true)
    .map((name) => name.slice(LABEL.length))
    .sort();
}

function opening(device, value) {
  const { at, name } = value ?? {};
  return { device, at: typeof at === "number" ? at : 0, ...(typeof name === "string" && { name }) };
}
