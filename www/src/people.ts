// Who is here, and who wrote: presence is unpersisted state beside a document, names of authors are a map inside it.
import { Cursor, type DocHandle, type EphemeralStore, type LoroDoc, type PeerID } from "corella";

export interface Person {
  name: string;
  color: string;
}

/** A selection as Loro cursors: they stay where they belong whatever others do. */
export interface Place {
  anchor: Cursor | undefined;
  head: Cursor | undefined;
}

export interface Present extends Person, Place {}

const COLORS = ["#b3541e", "#2f6f5e", "#3b5bbf", "#8a3f8f", "#a8324a", "#4a6b1f", "#0f6f8f", "#7a5a12", "#5b4bb3", "#b03a7a"];
const NAMES = ["Finch", "Heron", "Galah", "Robin", "Kestrel", "Wren", "Ibis", "Lorikeet"];
const pick = <T>(list: T[]): T => list[Math.floor(Math.random() * list.length)] as T;

/** Who sits at this tab. `?name=` gives the name. */
export function whoAmI(): Person {
  const stored = sessionStorage.getItem("me");
  const me = stored ? (JSON.parse(stored) as Person) : { name: pick(NAMES), color: pick(COLORS) };
  const name = new URL(location.href).searchParams.get("name");
  if (name) me.name = name.slice(0, 40);
  sessionStorage.setItem("me", JSON.stringify(me));
  return me;
}

export function isPerson(value: unknown): value is Person {
  const person = value as Person | null;
  return typeof person === "object" && person !== null && typeof person.name === "string" && /^#[0-9a-f]{6}$/i.test(String(person.color));
}

const encode = (cursor: Cursor | undefined) => (cursor ? cursor.encode() : null);

function decode(value: unknown): Cursor | undefined {
  if (!(value instanceof Uint8Array)) return undefined;
  try {
    return Cursor.decode(value);
  } catch {
    return undefined;
  }
}

/** Where everybody's cursor is in one document. */
export class Presence {
  readonly #store: EphemeralStore;
  #shared = "";

  constructor(
    handle: DocHandle,
    private readonly me: Person,
    private readonly peerId: string,
  ) {
    this.#store = handle.ephemeral("cursors");
  }

  get others(): Present[] {
    const found: Present[] = [];
    for (const value of this.#store.peers.values()) {
      const { anchor, head } = (value ?? {}) as { anchor?: unknown; head?: unknown };
      if (isPerson(value)) found.push({ name: value.name, color: value.color, anchor: decode(anchor), head: decode(head) });
    }
    return found;
  }

  subscribe(listener: () => void): () => void {
    return this.#store.subscribe(listener);
  }

  /** Tells the others, if they do not know. */
  share({ anchor, head }: Place): void {
    const place = { anchor: encode(anchor), head: encode(head) };
    const key = `${place.anchor} ${place.head}`;
    if (key === this.#shared) return;
    this.#shared = key;
    this.#store.setSelf({ ...this.me, ...place });
  }

  leave(): void {
    this.#store.delete(this.peerId);
  }
}

/** Another's caret, with the name. */
export function caret({ name, color }: Person): HTMLElement {
  const element = document.createElement("span");
  element.className = "remote-caret";
  element.style.setProperty("--who", color);
  element.dataset.name = name;
  return element;
}

/** Commits of this origin are nobody's to undo. */
export const AUTHORS_ORIGIN = "authors";
export const AUTHORS = "cid:root-authors:Map";

/** Writes down, before the first edit in this session, who its author is: a Loro peer id is only a number. */
export function introduce(handle: DocHandle, me: Person): void {
  const authors = handle.doc.getMap("authors");
  const author = handle.doc.peerIdStr;
  if (authors.get(author) === undefined) handle.change(() => authors.set(author, { ...me }), { origin: AUTHORS_ORIGIN });
}

/** Who an author is, as far as the document knows. */
export function authorOf(doc: LoroDoc, author: PeerID): Person {
  const known = doc.getMap("authors").get(author);
  if (isPerson(known)) return { name: known.name, color: known.color };
  return { name: `author …${author.slice(-4)}`, color: COLORS[Number(BigInt(author) % BigInt(COLORS.length))] as string };
}
