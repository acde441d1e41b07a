// The list of notes: it lives on the repo's catalogue, so titles, labels and times are there without opening a note, offline and live.
import type { CatalogueEntry, Repo } from "corella";
import type { EditorKind } from "./kinds.js";

export interface Entry {
  id: string;
  title: string;
  labels: string[];
  created: number;
  updated: number;
  kind: EditorKind["kind"];
  opened: CatalogueEntry["opened"];
}

type Order = "edited" | "title" | "created";

const PREFIX = "notebook/note/";
const ORDERS: Record<Order, (a: Entry, b: Entry) => number> = {
  edited: (a, b) => b.updated - a.updated,
  created: (a, b) => b.created - a.created,
  title: (a, b) => a.title.localeCompare(b.title) || b.created - a.created,
};
const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
];

const find = <T extends HTMLElement>(selector: string): T => document.querySelector<T>(selector) as T;
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });

export const noteId = (id: string): string => PREFIX + id;

/** How long ago something was, for people. */
function ago(time: number): string {
  const past = Date.now() - time;
  if (past > 7 * 86_400_000) return new Date(time).toLocaleDateString("en", { day: "numeric", month: "short", year: "numeric" });
  const [unit, length] = STEPS.find(([, length]) => past >= length) ?? ["minute", 0];
  return length === 0 ? "just now" : relative.format(-Math.floor(past / length), unit);
}

/** Labels as people type them. */
export const labelsOf = (text: string): string[] => [...new Set(text.split(",").map((label) => label.trim()).filter(Boolean))];

export class NoteList {
  #repo: Repo;
  #device = "";
  #entries: Entry[] = [];
  #label: string | undefined;
  #reading: Promise<void> | undefined;
  #again = false;

  /** `href` gives the address of a note, `changed` is called when what is listed may have changed. */
  constructor(
    repo: Repo,
    private readonly href: (entry: Entry) => string,
    private readonly current: () => string | undefined,
    private readonly changed: () => void,
  ) {
    this.#repo = repo;
    void repo.device.then((device) => (this.#device = device));
    repo.catalogue.subscribe(() => void this.read());
    for (const control of ["#search", "#order"]) find(control).addEventListener("input", () => this.draw());
    // Times that were told a minute ago are no longer true.
    setInterval(() => this.draw(), 60_000);
    void this.read();
  }

  get(id: string | undefined): Entry | undefined {
    return this.#entries.find((entry) => entry.id === id);
  }

  /** Reads the catalogue anew, and once more if it changes meanwhile. */
  read(): Promise<void> {
    this.#again = true;
    return (this.#reading ??= (async () => {
      while (this.#again) {
        this.#again = false;
        const listed = await this.#repo.catalogue.list();
        this.#entries = listed.filter(({ docId, created }) => created !== undefined && docId.startsWith(PREFIX)).map(entryOf);
      }
    })()
      .catch(() => undefined)
      .finally(() => {
        this.#reading = undefined;
        this.draw();
        this.changed();
      }));
  }

  async put(id: string, facts: { title?: string; labels?: string[]; kind?: EditorKind["kind"] }): Promise<void> {
    const { kind, ...rest } = facts;
    await this.#repo.catalogue.set(noteId(id), kind ? { ...rest, data: { kind } } : rest);
    await this.read();
  }

  draw(): void {
    const words = find<HTMLInputElement>("#search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const order = find<HTMLSelectElement>("#order").value as Order;
    const labels = [...new Set(this.#entries.flatMap(({ labels }) => labels))].sort();
    if (this.#label !== undefined && !labels.includes(this.#label)) this.#label = undefined;
    const fits = ({ title, labels }: Entry) => {
      const text = [title || "Untitled", ...labels].join(" ").toLowerCase();
      return words.every((word) => text.includes(word)) && (this.#label === undefined || labels.includes(this.#label));
    };
    const shown = this.#entries.filter(fits).sort(ORDERS[order]);
    find("#notes").replaceChildren(...shown.map((entry) => this.#row(entry)));
    find("#no-notes").hidden = this.#entries.length > 0;
    find("#none-found").hidden = this.#entries.length === 0 || shown.length > 0;
    find("#filters").hidden = this.#entries.length === 0;
    find("#labels-in-use").replaceChildren(...labels.map((label) => this.#chip(label)));
  }

  #chip(label: string): HTMLElement {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "chip";
    button.textContent = label;
    button.setAttribute("aria-pressed", String(label === this.#label));
    button.addEventListener("click", () => {
      this.#label = label === this.#label ? undefined : label;
      this.draw();
    });
    return button;
  }

  #row(entry: Entry): HTMLLIElement {
    const link = document.createElement("a");
    link.href = this.href(entry);
    link.dataset.kind = entry.kind;
    link.textContent = entry.title || "Untitled";
    if (entry.id === this.current()) link.setAttribute("aria-current", "page");
    const facts = document.createElement("small");
    facts.textContent = this.#facts(entry);
    const labels = document.createElement("span");
    labels.className = "labels";
    for (const label of entry.labels) {
      const tag = document.createElement("span");
      tag.className = "chip";
      tag.textContent = label;
      labels.append(tag);
    }
    const item = document.createElement("li");
    item.append(link, facts, ...(entry.labels.length > 0 ? [labels] : []));
    return item;
  }

  #facts({ updated, opened }: Entry): string {
    const edited = updated > 0 ? `Edited ${ago(updated)}` : "";
    const [last] = opened;
    if (!last) return edited;
    const where = last.device === this.#device ? "here" : `on ${last.name ?? "another"}’s device`;
    return `${edited}${edited && " · "}${edited ? "last open" : "Last open"} ${where}`;
  }
}

function entryOf({ docId, title = "", labels, created = 0, updated = 0, data, opened }: CatalogueEntry): Entry {
  const kind = typeof data === "object" && data !== null && "kind" in data && data.kind === "rich" ? "rich" : "plain";
  return { id: docId.slice(PREFIX.length), title, labels, created, updated, kind, opened };
}
