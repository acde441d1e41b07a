// Binds CodeMirror to a Loro text: what is typed goes into the document, what arrives comes out of it, undo takes back one's own edits
// only, and others' cursors are shown. Loro's events are synchronous, so nothing here waits for one.
import { Annotation, EditorState, type Extension, Prec, StateEffect, StateField, Transaction } from "@codemirror/state";
import { Decoration, type DecorationSet, EditorView, keymap, ViewPlugin, type ViewUpdate, WidgetType } from "@codemirror/view";
import { type Cursor, type DocHandle, type LoroEventBatch, type LoroText, UndoManager } from "corella";
import { AUTHORS_ORIGIN, caret, type Person, type Place, type Presence } from "./people.js";

const ORIGIN = "editor";
/** Milliseconds within which edits are undone as one. */
const MERGE = 500;
/** Marks what came out of the document, so that it does not go back in. */
const fromDocument = Annotation.define<boolean>();

export interface Binding {
  handle: DocHandle;
  text: LoroText;
  presence: Presence;
  /** Called before an edit goes into the document. */
  beforeEdit?: () => void;
}

/** Everything the editor of `text` needs besides looks. Begin with `doc: text.toString()`. */
export function loroText(binding: Binding): Extension {
  const plugin = ViewPlugin.define((view) => new Sync(view, binding));
  const step = (redo: boolean) => (view: EditorView) => {
    view.plugin(plugin)?.step(redo);
    return true;
  };
  const undo = step(false);
  const redo = step(true);
  return [
    plugin,
    people,
    // Only "\n" ends a line: the document counts every character, "\r" included.
    EditorState.lineSeparator.of("\n"),
    EditorView.clipboardInputFilter.of((pasted) => pasted.replace(/\r\n?/g, "\n")),
    Prec.high([
      keymap.of([
        { key: "Mod-z", run: undo, preventDefault: true },
        { key: "Mod-y", run: redo, preventDefault: true },
        { key: "Mod-Shift-z", run: redo, preventDefault: true },
      ]),
      // Menus, gestures and on-screen keyboards.
      EditorView.domEventHandlers({
        beforeinput(event, view) {
          if (event.inputType !== "historyUndo" && event.inputType !== "historyRedo") return false;
          event.preventDefault();
          return step(event.inputType === "historyRedo")(view);
        },
      }),
    ]),
  ];
}

class Sync {
  readonly #undo: UndoManager;
  readonly #ends: (() => void)[];
  /** Where the selection is, and for a new step: was before it. */
  #place: Place;
  #restored: Cursor[] = [];
  /** The cursor was moved since the last edit. */
  #moved = true;
  #showing = false;
  #ended = false;

  constructor(
    private readonly view: EditorView,
    private readonly binding: Binding,
  ) {
    const { handle, presence } = binding;
    this.#place = this.#selection(view.state);
    this.#undo = new UndoManager(handle.doc, {
      mergeInterval: MERGE,
      excludeOriginPrefixes: [AUTHORS_ORIGIN],
      onPush: () => ({ value: null, cursors: [this.#place.anchor, this.#place.head].filter((cursor) => cursor !== undefined) }),
      onPop: (_, { cursors }) => void (this.#restored = cursors),
    });
    this.#ends = [handle.subscribe((event) => this.#arrived(event)), presence.subscribe(() => this.#showPeople())];
    this.#showPeople();
  }

  update(update: ViewUpdate): void {
    const typed = update.transactions.filter((transaction) => transaction.docChanged && !transaction.annotation(fromDocument));
    if (typed.length > 0) this.#typed(typed);
    else if (update.selectionSet) this.#moved = true;
    // What others do leaves the cursor where it is, so they need not be told.
    if (typed.length > 0 || update.selectionSet || update.focusChanged) {
      this.#place = this.#selection(update.state);
      this.binding.presence.share(this.#place);
    }
  }

  destroy(): void {
    this.#ended = true;
    for (const end of this.#ends) end();
    this.#undo.free();
  }

  /** One step back, or forward again, with the selection that was there. */
  step(redo: boolean): void {
    this.#restored = [];
    if (redo) this.#undo.redo();
    else this.#undo.undo();
    const at = (cursor: Cursor | undefined) => cursor && this.binding.handle.doc.getCursorPos(cursor)?.offset;
    const [anchor, head] = [at(this.#restored[0]), at(this.#restored.at(-1))];
    if (anchor !== undefined && head !== undefined) this.view.dispatch({ selection: { anchor, head }, scrollIntoView: true });
  }

  /** What was typed goes into the document as one commit. */
  #typed(transactions: Transaction[]): void {
    const { handle, text, beforeEdit } = this.binding;
    beforeEdit?.();
    // A step of its own for what is typed elsewhere.
    if (this.#moved) this.#undo.setMergeInterval(0);
    handle.change(
      () => {
        for (const { changes } of transactions) {
          let moved = 0;
          changes.iterChanges((from, to, _from, _to, inserted) => {
            if (to > from) text.delete(from + moved, to - from);
            if (inserted.length > 0) text.insert(from + moved, inserted.toString());
            moved += inserted.length - (to - from);
          });
        }
      },
      { origin: ORIGIN },
    );
    this.#undo.setMergeInterval(MERGE);
    this.#moved = false;
  }

  /** What others did, undo and restored versions come out of the document. */
  #arrived(event: LoroEventBatch): void {
    if (event.by === "local" && event.origin === ORIGIN) return;
    const changes: { from: number; to?: number; insert?: string }[] = [];
    for (const { target, diff } of event.events) {
      if (target !== this.binding.text.id || diff.type !== "text") continue;
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
    if (changes.length === 0) return;
    this.view.dispatch({ changes, annotations: [fromDocument.of(true), Transaction.addToHistory.of(false)] });
    this.#showPeople();
  }

  #selection(state: EditorState): Place {
    const { anchor, head } = state.selection.main;
    return { anchor: this.binding.text.getCursor(anchor), head: this.binding.text.getCursor(head) };
  }

  /** Presence may arrive while the view is updating itself. */
  #showPeople(): void {
    if (this.#showing) return;
    this.#showing = true;
    queueMicrotask(() => {
      this.#showing = false;
      if (this.#ended) return;
      const { doc } = this.binding.handle;
      const place = (cursor: Cursor | undefined) => cursor && cursor.containerId() === this.binding.text.id && doc.getCursorPos(cursor)?.offset;
      const shown: Shown[] = [];
      for (const { name, color, anchor, head } of this.binding.presence.others) {
        const [from, to] = [place(anchor), place(head)];
        if (typeof from === "number" && typeof to === "number") shown.push({ name, color, anchor: from, head: to });
      }
      this.view.dispatch({ effects: showPeople.of(shown) });
    });
  }
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
    return caret(this.person);
  }
}

const people = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(shown, transaction) {
    shown = shown.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (!effect.is(showPeople)) continue;
      const length = transaction.newDoc.length;
      const marks = effect.value.flatMap((person) => {
        const [anchor, head] = [Math.min(person.anchor, length), Math.min(person.head, length)];
        const mark = Decoration.widget({ widget: new Caret(person), side: head < anchor ? -1 : 1 }).range(head);
        if (anchor === head) return [mark];
        const selection = Decoration.mark({ class: "remote-selection", attributes: { style: `--who: ${person.color}` } });
        return [mark, selection.range(Math.min(anchor, head), Math.max(anchor, head))];
      });
      shown = Decoration.set(marks, true);
    }
    return shown;
  },
  provide: (field) => EditorView.decorations.from(field),
});
