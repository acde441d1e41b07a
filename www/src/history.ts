// Time travel in a note: a worker has a copy and checks it out at the version the slider shows; the note itself goes on, is edited by
// others and synced. An old version comes back as a new edit.
import type { DocHandle, HistoryChange, OpId, VersionVector } from "corella";
import type { Answer, Question } from "./history-worker.js";
import type { EditorKind, Preview } from "./kinds.js";
import { AUTHORS, authorOf } from "./people.js";
import { picture } from "./pictures.js";

const PAGE = 50;
/** Milliseconds of listing at a time. */
const SLICE = 8;
/** Rows shown before "Older" is asked for, and changes looked through for them at most: people who type at once make a change a letter. */
const ROWS = 30;
const CHANGES = 2_000;
/** Changes that begin within this time of each other are one row. */
const TOGETHER = 60_000;

/** What people did within a minute or so. */
interface Row {
  authors: Set<HistoryChange["author"]>;
  from: number | undefined;
  to: number | undefined;
  messages: string[];
  operations: number;
  /** The Lamport time at which all of it is there. */
  end: number;
}

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const when = (time: number | undefined) => (time === undefined ? "time unknown" : clock.format(time));
const edits = (count: number) => `${count} ${count === 1 ? "edit" : "edits"}`;

function element<K extends keyof HTMLElementTagNameMap>(tag: K, properties: Partial<HTMLElementTagNameMap[K]>, ...children: (Node | string)[]) {
  const made: HTMLElementTagNameMap[K] = document.createElement(tag);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

/** Makes the text what it was, as one edit. Who the authors are is not the text's. */
export function restore(handle: DocHandle, version: OpId[], message: string): void {
  const { doc } = handle;
  doc.commit();
  const back = doc.diff(doc.oplogFrontiers(), version, false).filter(([container]) => container !== AUTHORS);
  handle.change(() => doc.applyDiff(back), { message, origin: "restore" });
}

export class HistoryPanel {
  readonly #root = element("section", { className: "history", ariaLabel: "History" });
  readonly #slider = element("input", { type: "range", min: "0", ariaLabel: "Version" });
  readonly #label = element("output", { className: "history-version" });
  readonly #detail = element("p", { className: "history-detail", role: "status" });
  readonly #text = element("div", { className: "history-text" });
  readonly #rows = element("ol", { className: "history-rows" });
  readonly #older = element("button", { type: "button", textContent: "Older" });
  readonly #restore = element("button", { type: "button", className: "primary", textContent: "Restore this version" });
  readonly #worker = new Worker(new URL("./history-worker.ts", import.meta.url), { type: "module" });
  readonly #preview: Preview;
  readonly #stop: () => void;
  /** What the worker's copy has. */
  #copied: VersionVector;
  /** One version is made at a time; of those asked for meanwhile only the latest is. */
  #making = false;
  #wanted: OpId[] | undefined;
  #list: Row[] = [];
  #reached: HistoryChange | undefined;
  #filling: number | undefined;
  #growing: number | undefined;

  constructor(
    before: HTMLElement,
    private readonly handle: DocHandle,
    kind: EditorKind,
    onClose: () => void,
  ) {
    const close = element("button", { type: "button", textContent: "Back to the note" });
    const side = element("aside", { ariaLabel: "Changes" }, this.#rows, this.#older);
    this.#root.append(element("div", { className: "history-bar" }, this.#slider, this.#label, this.#restore, close), this.#text, side, this.#detail);
    before.before(this.#root);
    // What is there now at once, the rest when the worker is there.
    this.#preview = kind.preview(this.#text);
    this.#preview.show(picture(kind.kind, handle.doc).content);
    this.#worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => this.#answered(data));
    handle.doc.commit();
    this.#copied = handle.doc.oplogVersion();
    this.#ask({ type: "begin", kind: kind.kind, bytes: handle.doc.export({ mode: "snapshot" }) });

    this.#slider.max = String(handle.history.end);
    this.#slider.value = this.#slider.max;
    this.#slider.addEventListener("input", () => this.#show());
    this.#older.addEventListener("click", () => this.#fill(true));
    this.#restore.addEventListener("click", () => {
      restore(handle, handle.history.at(this.#time), `Restored the version of ${this.#label.value}`);
      onClose();
    });
    close.addEventListener("click", () => onClose());
    this.#root.addEventListener("keydown", (event) => event.key === "Escape" && onClose());
    this.#text.addEventListener("pointermove", (event) => this.#tell(event));
    this.#text.addEventListener("pointerdown", (event) => this.#tell(event));
    this.#stop = handle.subscribe(() => this.#grown());
    this.#fill(false);
    this.#show();
    this.#slider.focus();
  }

  destroy(): void {
    this.#stop();
    clearTimeout(this.#filling);
    clearTimeout(this.#growing);
    this.#worker.terminate();
    this.#preview.destroy();
    this.#root.remove();
  }

  get #time(): number {
    return Number(this.#slider.value);
  }

  #ask(question: Question): void {
    this.#worker.postMessage(question, "bytes" in question ? [question.bytes.buffer as ArrayBuffer] : []);
  }

  #answered(answer: Answer): void {
    if (answer.type === "author") this.#detail.textContent = this.#described(answer);
    else if (answer.type === "runs") {
      this.#preview.colour(answer.runs.map((run) => ({ ...run, ...authorOf(this.handle.doc, run.author) })));
    } else {
      this.#making = false;
      this.#preview.show(answer.picture.content);
      this.#next();
      this.#restore.disabled = this.#making || this.#time >= this.handle.history.end || !answer.picture.isSomething;
      this.#text.ariaBusy = String(this.#making);
    }
  }

  #next(): void {
    if (this.#making || !this.#wanted) return;
    const { doc } = this.handle;
    if (this.#copied.compare(doc.oplogVersion()) !== 0) {
      this.#ask({ type: "grow", bytes: doc.export({ mode: "update", from: this.#copied }) });
      this.#copied = doc.oplogVersion();
    }
    this.#making = true;
    this.#ask({ type: "show", version: this.#wanted });
    this.#wanted = undefined;
  }

  #show(): void {
    const { history } = this.handle;
    const [time, end] = [this.#time, history.end];
    this.#wanted = history.at(time);
    this.#restore.disabled = true;
    this.#text.ariaBusy = "true";
    this.#next();
    const [change] = time === 0 ? [] : history.page({ before: { author: "0", lamport: time }, limit: 1 });
    const now = time >= end;
    this.#label.value = change ? when(change.time) : "the beginning";
    this.#label.dataset.now = String(now);
    if (now) this.#label.value += " · now";
    this.#slider.setAttribute("aria-valuetext", this.#label.value);
    this.#detail.textContent = change ? this.#described(change) : "Nothing was written yet.";
    this.#mark();
  }

  #described({ author, time, message }: Pick<HistoryChange, "author" | "time" | "message">): string {
    return [authorOf(this.handle.doc, author).name, when(time), ...(message ? [`“${message}”`] : [])].join(" · ");
  }

  /** Who wrote what is under the pointer, and when. */
  #tell({ clientX, clientY, target }: PointerEvent): void {
    if (!(target as HTMLElement).closest(".written")) return;
    const position = this.#preview.positionAt(clientX, clientY);
    if (position !== undefined) this.#ask({ type: "who", position });
  }

  /** The note goes on meanwhile: who looks at the latest version sees it. */
  #grown(): void {
    const latest = this.#slider.value === this.#slider.max;
    this.#slider.max = String(this.handle.history.end);
    if (latest) {
      this.#slider.value = this.#slider.max;
      this.#show();
    }
    this.#growing ??= window.setTimeout(() => {
      this.#growing = undefined;
      this.#fill(false);
    }, 500);
  }

  /** Lists the newest changes, or with `older` more of them, a little at a time: a page keeps others waiting for a moment only. */
  #fill(older: boolean): void {
    clearTimeout(this.#filling);
    const list = older ? [...this.#list] : [];
    const enough = older ? list.length + ROWS : Math.max(ROWS, this.#list.length);
    let reached = older ? this.#reached : undefined;
    let looked = 0;
    const some = () => {
      const began = performance.now();
      let more = true;
      do {
        const page = this.handle.history.page({ before: reached, limit: PAGE });
        for (const change of page) this.#take(list, change);
        reached = page.at(-1) ?? reached;
        looked += page.length;
        more = page.length === PAGE && list.length < enough && looked < CHANGES;
        this.#older.hidden = page.length < PAGE;
      } while (more && performance.now() - began < SLICE);
      if (more) {
        this.#filling = window.setTimeout(some, 0);
        return;
      }
      [this.#list, this.#reached] = [list, reached];
      this.#rows.replaceChildren(...list.map((row) => this.#row(row)));
      this.#mark();
    };
    some();
  }

  /** Shows which of the listed changes the version is of. */
  #mark(): void {
    for (const [index, item] of [...this.#rows.children].entries()) {
      const row = this.#list[index];
      const current = row && row.end >= this.#time && (this.#list[index + 1]?.end ?? 0) < this.#time;
      item.firstElementChild?.setAttribute("aria-current", String(!!current));
    }
  }

  #take(list: Row[], { author, time, message, length, lamport }: HistoryChange): void {
    let row = list.at(-1);
    const isNear = row !== undefined && (time === row.to || (time !== undefined && row.to !== undefined && row.to - time < TOGETHER));
    if (!row || !isNear || message !== undefined || row.messages.length > 0) {
      row = { authors: new Set(), from: time, to: time, messages: [], operations: 0, end: 0 };
      list.push(row);
    }
    row.authors.add(author);
    row.from = time;
    row.operations += length;
    row.end = Math.max(row.end, lamport + length);
    if (message !== undefined) row.messages.push(message);
  }

  #row(row: Row): HTMLLIElement {
    const names = [...row.authors].map((author) => {
      const { name, color } = authorOf(this.handle.doc, author);
      const who = element("span", { className: "who", textContent: name });
      who.style.setProperty("--who", color);
      return who;
    });
    const button = element(
      "button",
      { type: "button" },
      element("span", { className: "when", textContent: when(row.to) }),
      element("span", { className: "authors" }, ...names),
      element("span", { className: "what", textContent: [...row.messages, edits(row.operations)].join(" · ") }),
    );
    button.addEventListener("click", () => {
      this.#slider.value = String(row.end);
      this.#show();
    });
    return element("li", {}, button);
  }
}
