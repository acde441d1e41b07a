// CodeMirror on a Loro text: what is typed goes into the document, what arrives comes out of it, and everybody's cursors are shown.
import { defaultKeymap } from "@codemirror/commands";
import { Annotation, type Extension, Prec, StateEffect, StateField, Transaction } from "@codemirror/state";
import { Decoration, type DecorationSet, EditorView, keymap, placeholder, WidgetType } from "@codemirror/view";
import { Cursor, type DocHandle, type LoroEventBatch, type LoroText, UndoManager } from "corella";

/** Marks what came out of the document, so that it does not go back in. */
const fromDocument = Annotation.define<boolean>();

export interface Person {
  name: string;
  color: string;
}

interface Shown extends Person {
  anchor: number;
  head: number;
}

const showPeople = StateEffect.define<Shown[]>();

class Caret extends WidgetType {
  constructor(readonly person: Person) {
    super();
  }
  override eq(other: Caret): boolean {
    return other.person.name === this.person.name && other.person.color === this.person.color;
  }
  toDOM(): HTMLElement {
    const caret = document.createElement("span");
    caret.className = "cm-remote-caret";
    caret.style.setProperty("--who", this.person.color);
    caret.dataset.name = this.person.name;
    return caret;
  }
}

const people = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(shown, transaction) {
    shown = shown.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (!effect.is(showPeople)) continue;
      const length = transaction.newDoc.length;
      shown = Decoration.set(
        effect.value.flatMap((person) => {
          const [anchor, head] = [Math.min(person.anchor, length), Math.min(person.head, length)];
          const marks = [Decoration.widget({ widget: new Caret(person), side: head < anchor ? -1 : 1 }).range(head)];
          if (anchor !== head) {
            const style = `--who: ${person.color}`;
            marks.push(Decoration.mark({ class: "cm-remote-selection", attributes: { style } }).range(Math.min(anchor, head), Math.max(anchor, head)));
          }
          return marks;
        }),
        true,
      );
    }
    return shown;
  },
  provide: (field) => EditorView.decorations.from(field),
});

const encode = (cursor: Cursor | undefined): number[] | null => (cursor ? [...cursor.encode()] : null);

/** An editor of `handle`'s text "text" in `parent`. */
export class NoteEditor {
  readonly view: EditorView;
  #handle: DocHandle;
  readonly #cursors: ReturnType<DocHandle["ephemeral"]>;
  #text: LoroText;
  #me: Person;
  #ends: (() => void)[] = [];

  constructor(parent: HTMLElement, handle: DocHandle, me: Person, private readonly peerId: string) {
    this.#handle = handle;
    this.#cursors = handle.ephemeral("cursors");
    this.#text = handle.doc.getText("text");
    this.#me = me;
    const undo = new UndoManager(handle.doc, { mergeInterval: 500 });
    const extensions: Extension[] = [
      // Undo takes back one's own edits only, so it is the document's, not the editor's.
      Prec.high(
        keymap.of([
          { key: "Mod-z", run: () => (undo.undo(), true) },
          { key: "Mod-y", mac: "Mod-Shift-z", run: () => (undo.redo(), true) },
        ]),
      ),
      keymap.of(defaultKeymap),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ "aria-label": "Text of the note", spellcheck: "true" }),
      placeholder("Write something. Everybody who has this note open sees it."),
      people,
      EditorView.updateListener.of((update) => {
        for (const transaction of update.transactions) this.#typed(transaction);
        if (update.selectionSet || update.docChanged || update.focusChanged) this.#sharePosition();
      }),
    ];
    this.view = new EditorView({ parent, doc: this.#text.toString(), extensions });
    this.#ends.push(handle.subscribe((event) => this.#arrived(event)));
    this.#ends.push(this.#cursors.subscribe(() => this.#showPeople()));
    this.#showPeople();
  }

  /** The others here. */
  get others(): Person[] {
    return [...this.#cursors.peers.values()].filter((value): value is Person & Record<string, never> => isPerson(value));
  }

  destroy(): void {
    for (const end of this.#ends) end();
    this.#cursors.delete(this.peerId);
    this.view.destroy();
  }

  /** What was typed goes into the document as one commit. */
  #typed(transaction: Transaction): void {
    if (!transaction.docChanged || transaction.annotation(fromDocument)) return;
    this.#handle.change(() => {
      let moved = 0;
      transaction.changes.iterChanges((from, to, _newFrom, _newTo, inserted) => {
        if (to > from) this.#text.delete(from + moved, to - from);
        const text = inserted.toString();
        if (text) this.#text.insert(from + moved, text);
        moved += text.length - (to - from);
      });
    }, { origin: "editor" });
  }

  /** What others did, and undo, comes out of the document. */
  #arrived(event: LoroEventBatch): void {
    if (event.by === "local" && event.origin === "editor") return;
    const changes: { from: number; to?: number; insert?: string }[] = [];
    for (const { target, diff } of event.events) {
      if (target !== this.#text.id || diff.type !== "text") continue;
      let at = 0;
      for (const step of diff.diff) {
        if (step.retain !== undefined) at += step.retain;
        else if (step.insert !== undefined) changes.push({ from: at, insert: step.insert });
        else if (step.delete !== undefined) {
          changes.push({ from: at, to: at + step.delete });
          at += step.delete;
        }
      }
    }
    if (changes.length > 0) {
      this.view.dispatch({ changes, annotations: [fromDocument.of(true), Transaction.addToHistory.of(false)] });
      this.#showPeople();
    }
  }

  /** Positions travel as Loro cursors: they stay where they belong whatever others insert. */
  #sharePosition(): void {
    const { anchor, head } = this.view.state.selection.main;
    this.#cursors.setSelf({ ...this.#me, anchor: encode(this.#text.getCursor(anchor)), head: encode(this.#text.getCursor(head)) });
  }

  #showPeople(): void {
    const shown: Shown[] = [];
    for (const value of this.#cursors.peers.values()) {
      if (!isPerson(value)) continue;
      const place = (encoded: unknown) => {
        if (!Array.isArray(encoded)) return undefined;
        try {
          return this.#handle.doc.getCursorPos(Cursor.decode(new Uint8Array(encoded as number[])))?.offset;
        } catch {
          return undefined;
        }
      };
      const { anchor, head } = value as unknown as { anchor: unknown; head: unknown };
      const [from, to] = [place(anchor), place(head)];
      if (from !== undefined && to !== undefined) shown.push({ name: value.name, color: value.color, anchor: from, head: to });
    }
    shown.sort((a, b) => a.head - b.head);
    // Presence may arrive while the view is updating itself.
    queueMicrotask(() => this.view.dispatch({ effects: showPeople.of(shown) }));
  }
}

function isPerson(value: unknown): value is Person {
  const person = value as Person | null;
  return typeof person === "object" && person !== null && typeof person.name === "string" && /^#[0-9a-f]{6}$/i.test(String(person.color));
}
