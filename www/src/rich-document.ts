// Reads a document in loro-prosemirror's form as ProseMirror's: a map "doc" of nodes, each with its name, attributes and children. Writes
// nothing and needs no window.
import { type LoroDoc, LoroList, LoroMap, LoroText } from "corella";
import type { LoroNodeMapping } from "loro-prosemirror";
import { Fragment, type Node, type Schema } from "prosemirror-model";

export const root = (doc: LoroDoc): LoroMap => doc.getMap("doc");

/** Whether there is content to be edited. An editor that began by itself would begin beside the one whose content is on its way. */
export const hasContent = (doc: LoroDoc): boolean => root(doc).get("nodeName") !== undefined;

const textOf = (schema: Schema, text: LoroText): Node[] =>
  text.toDelta().flatMap(({ insert, attributes }) => {
    if (!insert) return [];
    const marks = Object.entries(attributes ?? {}).flatMap(([name, value]) => {
      const type = schema.marks[name];
      if (!type || value === null || value === false) return [];
      return [type.create(typeof value === "object" ? (value as Record<string, unknown>) : null)];
    });
    return [schema.text(insert, marks)];
  });

/**
 * Reads the document as ProseMirror's. What edits at the same time left that the schema does not allow is left out or filled up.
 * `known` has what is unchanged since, and gets what was read as it is.
 */
export function read(schema: Schema, doc: LoroDoc, known: LoroNodeMapping = new Map()): Node {
  let repaired = false;
  const node = (map: LoroMap): Node | undefined => {
    const before = known.get(map.id);
    if (before && !Array.isArray(before)) return before;
    const type = schema.nodes[String(map.get("nodeName"))];
    if (!type) return undefined;
    const [attributes, children] = [map.get("attributes"), map.get("children")];
    const attrs = attributes instanceof LoroMap ? attributes.toJSON() : null;
    const items: Node[] = [];
    const outer = repaired;
    repaired = false;
    for (const child of children instanceof LoroList ? children.toArray() : []) {
      if (child instanceof LoroText) {
        const nodes = known.get(child.id) ?? textOf(schema, child);
        if (Array.isArray(nodes)) {
          known.set(child.id, nodes);
          items.push(...nodes);
        }
      } else if (child instanceof LoroMap) {
        const inner = node(child);
        if (inner) items.push(inner);
        else repaired = true;
      }
    }
    const content = Fragment.from(items);
    let made: Node | null = null;
    if (type.validContent(content)) made = type.create(attrs, content);
    else {
      repaired = true;
      let match = type.contentMatch;
      const fitting = items.filter((item) => {
        const next = match.matchType(item.type);
        if (next) match = next;
        return next !== null;
      });
      made = type.createAndFill(attrs, fitting);
    }
    if (made && !repaired) known.set(map.id, made);
    repaired ||= outer;
    return made ?? undefined;
  };
  return node(root(doc)) ?? (schema.topNodeType.createAndFill() as Node);
}

/** What a list of children and a node of ProseMirror's have in common: texts are longer there where marks change. */
export function* parts(list: LoroList, node: Node): Generator<{ item: unknown; start: number; size: number }> {
  const nodes = node.children.filter((child) => !child.isText).values();
  let start = 0;
  for (const item of list.toArray()) {
    const size = item instanceof LoroText ? item.length : (nodes.next().value?.nodeSize ?? 0);
    yield { item, start, size };
    start += size;
  }
}

/** The texts of the document, and where each begins in ProseMirror's. */
export function* texts(doc: LoroDoc, view: Node): Generator<{ text: LoroText; start: number }> {
  function* within(list: unknown, node: Node, start: number): Generator<{ text: LoroText; start: number }> {
    if (!(list instanceof LoroList)) return;
    if (node.isTextblock) {
      for (const part of parts(list, node)) if (part.item instanceof LoroText) yield { text: part.item, start: start + part.start };
      return;
    }
    const items = list.toArray();
    let at = start;
    for (const [index, child] of node.children.entries()) {
      const item = items[index];
      if (item instanceof LoroMap) yield* within(item.get("children"), child, at + 1);
      at += child.nodeSize;
    }
  }
  yield* within(root(doc).get("children"), view, 0);
}
