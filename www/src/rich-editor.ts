// A rich note: ProseMirror with a toolbar, and the same document as it once was.
import { baseKeymap, chainCommands, exitCode, lift, setBlockType, toggleMark, wrapIn } from "prosemirror-commands";
import { InputRule, inputRules, textblockTypeInputRule, wrappingInputRule } from "prosemirror-inputrules";
import { keymap } from "prosemirror-keymap";
import { type MarkType, type NodeType, Node as PMNode } from "prosemirror-model";
import { liftListItem, sinkListItem, splitListItem, wrapInList } from "prosemirror-schema-list";
import { type Command, EditorState, Plugin } from "prosemirror-state";
import { Decoration, DecorationSet, EditorView } from "prosemirror-view";
import type { DocHandle } from "corella";
import type { Editor, EditorKind, Part, Preview } from "./kinds.js";
import { introduce, type Person, type Presence } from "./people.js";
import { begin, loroDocument, replaceDifference } from "./prosemirror.js";
import { hasContent, read } from "./rich-document.js";
import { schema } from "./schema.js";

const node = (name: string) => schema.nodes[name] as NodeType;
const mark = (name: string) => schema.marks[name] as MarkType;
const [strong, em, code] = [mark("strong"), mark("em"), mark("code")];
const [paragraph, heading, quote, bullets, numbers, item] = ["paragraph", "heading", "blockquote", "bullet_list", "ordered_list", "list_item"].map(node) as [
  NodeType,
  NodeType,
  NodeType,
  NodeType,
  NodeType,
  NodeType,
];

const hardBreak = chainCommands(exitCode, (state, dispatch) => {
  dispatch?.(state.tr.replaceSelectionWith(node("hard_break").create()).scrollIntoView());
  return true;
});

/** `**bold**`, `*italic*` and `` `code` `` while typing. */
function markRule(pattern: RegExp, type: MarkType): InputRule {
  return new InputRule(pattern, (state, match, start, end) => {
    const [all = "", before = "", inner = ""] = match;
    const from = start + before.length;
    const open = all.indexOf(inner, before.length) - before.length;
    return state.tr
      .delete(from + open + inner.length, end)
      .delete(from, from + open)
      .addMark(from, from + inner.length, type.create())
      .removeStoredMark(type);
  });
}

const rules = inputRules({
  rules: [
    textblockTypeInputRule(/^(#{1,3})\s$/, heading, ([, signs = ""]) => ({ level: signs.length })),
    wrappingInputRule(/^\s*[-*]\s$/, bullets),
    wrappingInputRule(/^1\.\s$/, numbers),
    wrappingInputRule(/^\s*>\s$/, quote),
    markRule(/(^|[^*])\*\*([^*\s][^*]*)\*\*$/, strong),
    markRule(/(^|[\s(])\*([^*\s]+)\*$/, em),
    markRule(/(^|[^`])`([^`]+)`$/, code),
  ],
});

const isHeading = (state: EditorState, level: number) => state.selection.$from.parent.hasMarkup(heading, { level });
const toggleHeading =
  (level: number): Command =>
  (state, dispatch) =>
    (isHeading(state, level) ? setBlockType(paragraph) : setBlockType(heading, { level }))(state, dispatch);

const around = (state: EditorState, ...types: NodeType[]): NodeType | undefined => {
  const { $from } = state.selection;
  for (let depth = $from.depth; depth > 0; depth -= 1) {
    const { type } = $from.node(depth);
    if (types.includes(type)) return type;
  }
  return undefined;
};
const toggleAround =
  (type: NodeType): Command =>
  (state, dispatch) => {
    if (around(state, type)) return (type === quote ? lift : liftListItem(item))(state, dispatch);
    return (type === quote ? wrapIn(quote) : wrapInList(type))(state, dispatch);
  };

function hasMark(state: EditorState, type: MarkType): boolean {
  const { empty, $from, from, to } = state.selection;
  return empty ? !!type.isInSet(state.storedMarks ?? $from.marks()) : state.doc.rangeHasMark(from, to, type);
}

interface Button {
  label: string;
  title: string;
  run: Command;
  on?: (state: EditorState) => boolean;
}

const MARKS: Button[] = [
  { label: "<b>B</b>", title: "Bold", run: toggleMark(strong), on: (state) => hasMark(state, strong) },
  { label: "<i>I</i>", title: "Italic", run: toggleMark(em), on: (state) => hasMark(state, em) },
  { label: "<code>‹›</code>", title: "Code", run: toggleMark(code), on: (state) => hasMark(state, code) },
];
const BLOCKS: Button[] = [
  ...[1, 2].map((level) => ({ label: `H${level}`, title: `Heading ${level}`, run: toggleHeading(level), on: (state: EditorState) => isHeading(state, level) })),
  { label: icon("M9 6h11M9 12h11M9 18h11M4 6h.01M4 12h.01M4 18h.01"), title: "Bullet list", run: toggleAround(bullets), on: (state) => around(state, bullets, numbers) === bullets },
  { label: icon("M10 6h10M10 12h10M10 18h10M4 5l1.5-1v4M4 14h2.5L4 18h2.5"), title: "Numbered list", run: toggleAround(numbers), on: (state) => around(state, bullets, numbers) === numbers },
  { label: icon("M5 5v14M9 8h11M9 12h11M9 16h7"), title: "Quote", run: toggleAround(quote), on: (state) => around(state, quote) !== undefined },
];

function icon(path: string): string {
  return `<svg viewBox="0 0 24 24" width="18" height="18" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="${path}"/></svg>`;
}

/** Buttons that follow the selection. */
function toolbar(groups: Button[][]): Plugin {
  return new Plugin({
    view(view) {
      const bar = document.createElement("div");
      bar.className = "toolbar";
      bar.setAttribute("role", "toolbar");
      bar.setAttribute("aria-label", "Format");
      const made = groups.flatMap((group) => {
        const part = document.createElement("span");
        bar.append(part);
        return group.map((button) => {
          const element = document.createElement("button");
          element.type = "button";
          element.innerHTML = button.label;
          element.title = button.title;
          element.setAttribute("aria-label", button.title);
          // The selection stays in the text.
          element.addEventListener("pointerdown", (event) => event.preventDefault());
          element.addEventListener("click", () => {
            button.run(view.state, view.dispatch, view);
            view.focus();
          });
          part.append(element);
          return { button, element };
        });
      });
      const show = () => {
        for (const { button, element } of made) {
          if (button.on) element.setAttribute("aria-pressed", String(button.on(view.state)));
          element.disabled = !button.run(view.state);
        }
      };
      view.dom.before(bar);
      show();
      return { update: show, destroy: () => bar.remove() };
    },
  });
}

const isEmpty = (doc: PMNode) => doc.childCount === 1 && doc.firstChild?.type === paragraph && doc.firstChild.content.size === 0;

const hint = new Plugin({
  props: {
    decorations: ({ doc }) =>
      isEmpty(doc)
        ? DecorationSet.create(doc, [Decoration.node(0, 2, { class: "hint-empty", "data-hint": "Write something. Try **bold**, # heading, - list." })])
        : null,
  },
});

class RichEditor implements Editor {
  readonly #view: EditorView;

  constructor(parent: HTMLElement, handle: DocHandle, me: Person, presence: Presence) {
    const { plugin, undo, redo } = loroDocument(schema, { handle, presence, beforeEdit: () => introduce(handle, me) });
    const steps: Button[] = [
      { label: icon("M9 14L4 9l5-5M4 9h10a6 6 0 0 1 0 12h-3"), title: "Undo", run: undo },
      { label: icon("M15 14l5-5-5-5M20 9H10a6 6 0 0 0 0 12h3"), title: "Redo", run: redo },
    ];
    this.#view = new EditorView(parent, {
      attributes: { "aria-label": "Text of the note", spellcheck: "true" },
      state: EditorState.create({
        doc: read(schema, handle.doc),
        plugins: [
          plugin,
          rules,
          keymap({
            "Mod-b": toggleMark(strong),
            "Mod-i": toggleMark(em),
            "Mod-`": toggleMark(code),
            "Shift-Enter": hardBreak,
            Enter: splitListItem(item),
            Tab: sinkListItem(item),
            "Shift-Tab": liftListItem(item),
          }),
          keymap(baseKeymap),
          toolbar([MARKS, BLOCKS, steps]),
          hint,
        ],
      }),
    });
  }

  focus(): void {
    this.#view.focus();
  }

  destroy(): void {
    this.#view.destroy();
  }
}

class RichPreview implements Preview {
  readonly #view: EditorView;
  #marks: DecorationSet = DecorationSet.empty;

  constructor(parent: HTMLElement) {
    this.#view = new EditorView(parent, {
      attributes: { "aria-label": "Text of the note as it was" },
      editable: () => false,
      state: EditorState.create({ schema }),
      decorations: () => this.#marks,
    });
  }

  show(content: unknown): void {
    const { tr, doc } = this.#view.state;
    replaceDifference(tr, doc, PMNode.fromJSON(schema, content));
    this.#marks = this.#marks.map(tr.mapping, tr.doc);
    this.#view.dispatch(tr);
  }

  colour(parts: Part[]): void {
    const { doc, tr } = this.#view.state;
    const [from, to] = [parts[0]?.from, parts.at(-1)?.to];
    if (from === undefined || to === undefined) return;
    const old = this.#marks.find(from, to).filter((mark) => mark.from < to && mark.to > from);
    const add = parts.map((part) =>
      Decoration.inline(part.from, part.to, { class: "written", style: `--who: ${part.color}`, title: part.name, "data-author": part.author }),
    );
    this.#marks = this.#marks.remove(old).add(doc, add);
    this.#view.dispatch(tr);
  }

  positionAt(x: number, y: number): number | undefined {
    return this.#view.posAtCoords({ left: x, top: y })?.pos;
  }

  destroy(): void {
    this.#view.destroy();
  }
}

export const rich: EditorKind = {
  kind: "rich",
  begin: (handle) => begin(handle, schema),
  isReady: hasContent,
  edit: (parent, handle, me, presence) => new RichEditor(parent, handle, me, presence),
  preview: (parent) => new RichPreview(parent),
};
