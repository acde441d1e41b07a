// A note of plain text: CodeMirror on the text "text", and the same text as it once was.
import { defaultKeymap } from "@codemirror/commands";
import { EditorState, StateEffect, StateField } from "@codemirror/state";
import { Decoration, type DecorationSet, EditorView, keymap, placeholder } from "@codemirror/view";
import type { DocHandle } from "corella";
import { loroText } from "./codemirror.js";
import type { Editor, EditorKind, Part, Preview } from "./kinds.js";
import { introduce, type Person, type Presence } from "./people.js";

class NoteEditor implements Editor {
  readonly #view: EditorView;

  constructor(parent: HTMLElement, handle: DocHandle, me: Person, presence: Presence) {
    const text = handle.doc.getText("text");
    this.#view = new EditorView({
      parent,
      doc: text.toString(),
      extensions: [
        loroText({ handle, text, presence, beforeEdit: () => introduce(handle, me) }),
        keymap.of(defaultKeymap),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": "Text of the note", spellcheck: "true" }),
        placeholder("Write something. Everybody who has this note open sees it."),
      ],
    });
  }

  focus(): void {
    this.#view.focus();
  }

  destroy(): void {
    this.#view.destroy();
  }
}

const colours = StateEffect.define<Part[]>();

/** Who wrote what; what is new since is nobody's yet. */
const byAuthor = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(before, transaction) {
    let marks = transaction.docChanged ? before.map(transaction.changes) : before;
    for (const effect of transaction.effects) {
      if (!effect.is(colours)) continue;
      const [first, last] = [effect.value[0], effect.value.at(-1)];
      if (!first || !last) continue;
      const add = effect.value.map(({ from, to, name, color, author }) =>
        Decoration.mark({ class: "written", attributes: { style: `--who: ${color}`, title: name, "data-author": author } }).range(from, to),
      );
      marks = marks.update({ filterFrom: first.from, filterTo: last.to, filter: (from, to) => to <= first.from || from >= last.to, add });
    }
    return marks;
  },
  provide: (field) => EditorView.decorations.from(field),
});

class NotePreview implements Preview {
  readonly #view: EditorView;

  constructor(parent: HTMLElement) {
    this.#view = new EditorView({
      parent,
      extensions: [
        EditorState.lineSeparator.of("\n"),
        EditorState.readOnly.of(true),
        EditorView.editable.of(false),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": "Text of the note as it was" }),
        byAuthor,
      ],
    });
  }

  show(content: unknown): void {
    const [before, after] = [this.#view.state.doc.toString(), String(content)];
    // Only what differs, so that the place on the screen stays.
    let from = 0;
    const shorter = Math.min(before.length, after.length);
    while (from < shorter && before[from] === after[from]) from += 1;
    let same = 0;
    while (same < shorter - from && before[before.length - 1 - same] === after[after.length - 1 - same]) same += 1;
    if (from + same === before.length && before.length === after.length) return;
    this.#view.dispatch({ changes: { from, to: before.length - same, insert: after.slice(from, after.length - same) } });
  }

  colour(parts: Part[]): void {
    this.#view.dispatch({ effects: colours.of(parts) });
  }

  positionAt(x: number, y: number): number | undefined {
    return this.#view.posAtCoords({ x, y }) ?? undefined;
  }

  destroy(): void {
    this.#view.destroy();
  }
}

export const plain: EditorKind = {
  kind: "plain",
  begin: () => undefined,
  isReady: () => true,
  edit: (parent, handle, me, presence) => new NoteEditor(parent, handle, me, presence),
  preview: (parent) => new NotePreview(parent),
};
