// `handle.history`: the changes of a document, page by page, and its versions in the order of their Lamport times.
import { invalid } from "./errors.js";

const PAGE = 100;

const isWhole = (value, least) => Number.isInteger(value) && value >= least && value < 2 ** 32;

function described({ peer, counter, length, lamport, timestamp, message, deps }) {
  return {
    author: peer,
    counter,
    length,
    lamport,
    // Recorded in seconds, 0 where it was not.
    time: timestamp === 0 ? undefined : timestamp * 1000,
    message,
    deps,
    frontiers: [{ peer, counter: counter + length - 1 }],
  };
}

/** The history of a document of a repo. */
export class History {
  #inner;

  constructor(inner) {
    this.#inner = inner;
  }

  /** How many changes there are. */
  get length() {
    return this.#inner.historyLength;
  }

  /** The Lamport time after the newest operation. */
  get end() {
    return this.#inner.historyEnd;
  }

  /** The version before which the history is trimmed. */
  get begins() {
    return this.#inner.historyAt(0);
  }

  /** The newest changes, or those before one. */
  page(options) {
    const { before, limit = PAGE } = options ?? {};
    if (options !== undefined && (typeof options !== "object" || options === null)) throw invalid("the options of page are an object");
    if (!isWhole(limit, 1)) throw invalid("limit is a whole number of changes, at least 1");
    if (before === undefined) return this.#inner.historyPage(undefined, 0, limit).map(described);
    if (!isWhole(before?.lamport, 0) || !/^[0-9]+$/.test(before.author)) throw invalid("before is a change of this history, or its { author, lamport }");
    return this.#inner.historyPage(before.author, before.lamport, limit).map(described);
  }

  /** The version with all operations before a Lamport time. */
  at(lamport) {
    if (!isWhole(lamport, 0)) throw invalid("a Lamport time is a whole number, at least 0");
    return this.#inner.historyAt(lamport);
  }

  *[Symbol.iterator]() {
    for (let page = this.page(); page.length > 0; page = this.page({ before: page.at(-1) })) yield* page;
  }
}
