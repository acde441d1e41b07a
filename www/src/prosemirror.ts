// Binds ProseMirror to a Loro document in loro-prosemirror's form: a map "doc" of nodes, each with its name, attributes and children.
// What is typed is written by loro-prosemirror. The rest is here, because its plugins replace the whole document at every change of others
// and put the selection back a task later: what is typed in between would go elsewhere.
import { type Cursor, type DocHandle, type LoroDoc, type LoroEventBatch, LoroList, LoroMap, LoroText, UndoManager } from "corella";
import { type LoroDocType, type LoroNodeMapping, updateLoroToPmState } from "loro-prosemirror";
import { keydownHandler } from "prosemirror-keymap";
import { Fragment, type Node, type Schema, Slice } from "prosemirror-model";
import { type Command, EditorState, Plugin, PluginKey, TextSelection, type Transaction } from "prosemirror-state";
import { Decoration, DecorationSet, type EditorView } from "prosemirror-view";
import { AUTHORS_ORIGIN, caret, type Place, type Presence } from "./people.js";
import { parts, read, root } from "./rich-document.js";

/** What loro-prosemirror calls its commits. */
const ORIGIN = "loroSyncPlugin";
const FIRST_ORIGIN = "sys:init";
/** Milliseconds within which edits are undone as one. */
const MERGE = 500;

/** Writes an empty document. */
export function begin(handle: DocHandle, schema: Schema): void {
  configure(handle.doc, schema);
  const state = EditorState.create({ doc: schema.topNodeType.createAndFill() as Node });
  handle.change((doc) => updateLoroToPmState(doc as LoroDocType, new Map(), state));
}

/** What is typed at the end of a mark has it, unless the mark is not inclusive. */
function configure(doc: LoroDoc, schema: Schema): void {
  const expand = (inclusive: boolean | undefined) => (inclusive === false ? ("none" as const) : ("after" as const));
  doc.configTextStyle(Object.fromEntries(Object.entries(schema.marks).map(([name, { spec }]) => [name, { expand: expand(spec.inclusive) }])));
}

/** A position as a Loro cursor. */
export function toCursor(doc: LoroDoc, view: Node, position: number): Cursor | undefined {
  const at = view.resolve(position);
  let list = root(doc).get("children");
  for (let depth = 0; depth < at.depth; depth += 1) {
    const child = list instanceof LoroList ? list.get(at.index(depth)) : undefined;
    list = child instanceof LoroMap ? child.get("children") : undefined;
  }
  if (!(list instanceof LoroList)) return undefined;
  let index = 0;
  for (const { item, start, size } of parts(list, at.parent)) {
    const offset = at.parentOffset - start;
    if (item instanceof LoroText && offset <= size) return item.getCursor(offset);
    if (offset < size) break;
    index += 1;
  }
  return list.getCursor(index);
}

/** A Loro cursor as a position; undefined if what it points at is gone. */
export function toPosition(doc: LoroDoc, view: Node, cursor: Cursor): number | undefined {
  const container = doc.getContainerById(cursor.containerId());
  const [path, found] = [doc.getPathToContainer(cursor.containerId()), doc.getCursorPos(cursor)];
  if (!container || path?.[0] !== "doc" || !found) return undefined;
  const list = container instanceof LoroText ? container.parent() : container;
  if (!(list instanceof LoroList)) return undefined;
  // "doc", "children", index, "children", index … and for a text its own index.
  const indices = path.filter((_, at) => at >= 2 && at % 2 === 0).map(Number);
  if (container instanceof LoroText) indices.pop();
  let [node, start] = [view, 0];
  for (const index of indices) {
    const child = node.maybeChild(index);
    if (!child || child.isLeaf) return undefined;
    for (let before = 0; before < index; before += 1) start += node.child(before).nodeSize;
    [node, start] = [child, start + 1];
  }
  let index = 0;
  for (const part of parts(list, node)) {
    if (part.item instanceof LoroText && part.item.id === container.id) return start + part.start + Math.min(found.offset, part.size);
    if (container === list && index === found.offset) return start + part.start;
    index += 1;
  }
  return start + (index === 0 ? 0 : node.content.size);
}

/** Makes of `before`, whose content begins at `start`, what `after` is: as little as possible is replaced, and always whole nodes. */
export function replaceDifference(tr: Transaction, before: Node, after: Node, start = 0): void {
  if (before.inlineContent) {
    const from = before.content.findDiffStart(after.content);
    const ends = before.content.findDiffEnd(after.content);
    if (from === null || ends === null) return;
    // Where the same character stands on both sides of the change, the end comes before the start.
    const overlap = Math.max(0, from - Math.min(ends.a, ends.b));
    tr.replace(start + from, start + ends.a + overlap, after.slice(from, ends.b + overlap));
    return;
  }
  const [old, young] = [before.children, after.children];
  const shorter = Math.min(old.length, young.length);
  let left = 0;
  while (left < shorter && old[left]?.eq(young[left] as Node)) left += 1;
  let right = 0;
  while (right < shorter - left && old.at(-1 - right)?.eq(young.at(-1 - right) as Node)) right += 1;
  const [was, is] = [old.slice(left, old.length - right), young.slice(left, young.length - right)];
  let end = old.slice(0, old.length - right).reduce((at, { nodeSize }) => at + nodeSize, start);
  if (was.length === is.length && was.every((node, index) => node.sameMarkup(is[index] as Node))) {
    // From the last to the first, so that positions hold.
    for (const [index, node] of [...was.entries()].reverse()) {
      end -= node.nodeSize;
      replaceDifference(tr, node, is[index] as Node, end + 1);
    }
  } else {
    tr.replace(end - was.reduce((size, { nodeSize }) => size + nodeSize, 0), end, new Slice(Fragment.from(is), 0, 0));
  }
}

/** Where positions before a change are after it: undefined inside what changed. What was inserted at a position comes after it. */
function positions(before: Node, after: Node): (position: number) => number | undefined {
  const from = before.content.findDiffStart(after.content);
  const ends = before.content.findDiffEnd(after.content);
  if (from === null || ends === null) return (position) => position;
  const overlap = Math.max(0, from - Math.min(ends.a, ends.b));
  const [end, moved] = [ends.a + overlap, ends.b - ends.a];
  return (position) => (position <= from ? position : position >= end ? position + moved : undefined);
}

export interface Binding {
  handle: DocHandle;
  presence: Presence;
  /** Called before an edit goes into the document. */
  beforeEdit?: () => void;
}

const peopleKey = new PluginKey<DecorationSet>("people");

/** What the editor of a document needs besides looks. Begin with `doc: read(schema, handle.doc)`. */
export function loroDocument(schema: Schema, binding: Binding): { plugin: Plugin; undo: Command; redo: Command } {
  let sync: Sync | undefined;
  const step =
    (redo: boolean): Command =>
    (_, dispatch) => {
      if (!dispatch) return sync?.can(redo) ?? false;
      sync?.step(redo);
      return true;
    };
  const [undo, redo] = [step(false), step(true)];
  const plugin = new Plugin<DecorationSet>({
    key: peopleKey,
    view: (view) => (sync = new Sync(view, schema, binding)),
    state: {
      init: () => DecorationSet.empty,
      apply: (transaction, shown) => (transaction.getMeta(peopleKey) as DecorationSet | undefined) ?? shown.map(transaction.mapping, transaction.doc),
    },
    props: {
      decorations: (state) => peopleKey.getState(state),
      handleKeyDown: keydownHandler({ "Mod-z": undo, "Mod-y": redo, "Mod-Shift-z": redo }),
      handleDOMEvents: {
        // Menus, gestures and on-screen keyboards.
        beforeinput(_, event) {
          if (event.inputType !== "historyUndo" && event.inputType !== "historyRedo") return false;
          event.preventDefault();
          sync?.step(event.inputType === "historyRedo");
          return true;
        },
      },
    },
  });
  return { plugin, undo, redo };
}

class Sync {
  readonly #undo: UndoManager;
  readonly #ends: (() => void)[];
  readonly #known: LoroNodeMapping = new Map();
  /** What the document and the view agree on. */
  #agreed: Node;
  /** Where the selection is, and for a new step: was before it. */
  #place: Place = { anchor: undefined, head: undefined };
  #restored: Cursor[] = [];
  /** The cursor was moved since the last edit. */
  #moved = true;
  #showing = false;

  constructor(
    private readonly view: EditorView,
    private readonly schema: Schema,
    private readonly binding: Binding,
  ) {
    const { handle, presence } = binding;
    configure(handle.doc, schema);
    this.#agreed = read(schema, handle.doc, this.#known);
    this.#undo = new UndoManager(handle.doc, {
      mergeInterval: MERGE,
      excludeOriginPrefixes: [FIRST_ORIGIN, AUTHORS_ORIGIN],
      onPush: () => ({ value: null, cursors: [this.#place.anchor, this.#place.head].filter((cursor) => cursor !== undefined) }),
      onPop: (_, { cursors }) => void (this.#restored = cursors),
    });
    const share = () => this.#share();
    view.dom.addEventListener("focus", share);
    this.#ends = [
      handle.subscribe((event) => this.#arrived(event)),
      presence.subscribe(() => this.#showPeople()),
      () => view.dom.removeEventListener("focus", share),
    ];
    this.#showPeople();
  }

  update({ state }: EditorView, before: EditorState): void {
    const typed = !state.doc.eq(this.#agreed);
    if (typed) {
      const { handle, beforeEdit } = this.binding;
      beforeEdit?.();
      this.#agreed = state.doc;
      // What is typed elsewhere is a step of its own. The browser may tell of the cursor's move and the text in one.
      const at = before.doc.content.findDiffStart(state.doc.content) ?? 0;
      if (Math.abs(at - before.selection.from) > 2) {
        const there = toCursor(handle.doc, before.doc, at);
        this.#place = { anchor: there, head: there };
        this.#moved = true;
      }
      if (this.#moved) this.#undo.setMergeInterval(0);
      handle.change((doc) => updateLoroToPmState(doc as LoroDocType, this.#known, state));
      this.#undo.setMergeInterval(MERGE);
      this.#moved = false;
    } else if (state.doc === before.doc && !state.selection.eq(before.selection)) this.#moved = true;
    // What others do mostly leaves the cursor where it is; then they need not be told.
    const { head } = this.#place;
    if (typed || !head || toPosition(this.binding.handle.doc, state.doc, head) !== state.selection.head || this.#moved) this.#share();
  }

  destroy(): void {
    for (const end of this.#ends) end();
    this.#undo.free();
  }

  can(redo: boolean): boolean {
    return redo ? this.#undo.canRedo() : this.#undo.canUndo();
  }

  /** One step back, or forward again, with the selection that was there. */
  step(redo: boolean): void {
    this.#restored = [];
    if (redo) this.#undo.redo();
    else this.#undo.undo();
    const { doc, tr } = this.view.state;
    const at = (cursor: Cursor | undefined) => cursor && toPosition(this.binding.handle.doc, doc, cursor);
    const [anchor, head] = [at(this.#restored[0]), at(this.#restored.at(-1))];
    if (anchor !== undefined && head !== undefined) {
      this.view.dispatch(tr.setSelection(TextSelection.between(doc.resolve(anchor), doc.resolve(head))).scrollIntoView());
    }
  }

  /** What others did, undo and restored versions come out of the document: only what differs is replaced. */
  #arrived(event: LoroEventBatch): void {
    if (event.by === "local" && (event.origin === ORIGIN || event.origin === FIRST_ORIGIN)) return;
    if (event.events.every(({ path }) => path[0] !== "doc")) return;
    this.#settle();
    const { doc } = this.binding.handle;
    for (const { target } of event.events) {
      for (let container = doc.getContainerById(target); container; container = container.parent()) this.#known.delete(container.id);
    }
    this.#agreed = read(this.schema, doc, this.#known);
    const { tr, doc: before, selection } = this.view.state;
    const after = this.#agreed;
    replaceDifference(tr, before, after);
    if (!tr.docChanged) return;
    if (selection instanceof TextSelection) {
      const at = positions(before, after);
      const place = (position: number, cursor: Cursor | undefined) => at(position) ?? (cursor && toPosition(doc, after, cursor)) ?? tr.mapping.map(position);
      const [anchor, head] = [place(selection.anchor, this.#place.anchor), place(selection.head, this.#place.head)];
      tr.setSelection(TextSelection.between(tr.doc.resolve(anchor), tr.doc.resolve(head)));
    }
    this.view.dispatch(tr.setMeta("addToHistory", false));
    this.#showPeople();
  }

  /** The browser tells of a moved selection a task later: what is dispatched before that would put it back. */
  #settle(): void {
    const { view } = this;
    const { doc, selection, tr } = view.state;
    const there = view.dom.ownerDocument.getSelection();
    if (!view.hasFocus() || view.composing || !(selection instanceof TextSelection) || !there?.anchorNode || !there.focusNode) return;
    if (!view.dom.contains(there.anchorNode) || !view.dom.contains(there.focusNode)) return;
    const at = (node: globalThis.Node, offset: number) => doc.resolve(Math.min(doc.content.size, Math.max(0, view.posAtDOM(node, offset))));
    const found = TextSelection.between(at(there.anchorNode, there.anchorOffset), at(there.focusNode, there.focusOffset));
    if (!found.eq(selection)) view.dispatch(tr.setSelection(found));
  }

  #share(): void {
    const { doc, selection } = this.view.state;
    const at = (position: number) => toCursor(this.binding.handle.doc, doc, position);
    this.#place = { anchor: at(selection.anchor), head: at(selection.head) };
    if (this.view.hasFocus()) this.binding.presence.share(this.#place);
  }

  /** Presence may arrive while the view is updating itself. */
  #showPeople(): void {
    if (this.#showing) return;
    this.#showing = true;
    queueMicrotask(() => {
      this.#showing = false;
      if (this.view.isDestroyed) return;
      this.#settle();
      const { doc, tr } = this.view.state;
      const at = (cursor: Cursor | undefined) => cursor && toPosition(this.binding.handle.doc, doc, cursor);
      const before = peopleKey.getState(this.view.state)?.find().length;
      const shown = this.binding.presence.others.flatMap(({ name, color, anchor, head }) => {
        const [from, to] = [at(anchor), at(head)];
        if (from === undefined || to === undefined) return [];
        const marks = [Decoration.widget(to, () => caret({ name, color }), { key: `${name} ${color}`, side: to < from ? -1 : 1, ignoreSelection: true })];
        if (from !== to) marks.push(Decoration.inline(Math.min(from, to), Math.max(from, to), { class: "remote-selection", style: `--who: ${color}` }));
        return marks;
      });
      if (before || shown.length > 0) this.view.dispatch(tr.setMeta(peopleKey, DecorationSet.create(doc, shown)));
    });
  }
}
