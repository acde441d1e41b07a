// What a version of a note looks like, as plain data, and who wrote which part of it. Needs no window.
import type { LoroDoc, LoroText, OpId } from "corella";
import { Node } from "prosemirror-model";
import { hasContent, read, texts } from "./rich-document.js";
import { runs, type Run } from "./runs.js";
import { schema } from "./schema.js";

export type PictureKind = "plain" | "rich";

export interface Picture {
  /** A plain note's text, or a rich note's document as ProseMirror's JSON. */
  content: unknown;
  /** Whether there is anything to go back to. */
  isSomething: boolean;
}

export function picture(kind: PictureKind, doc: LoroDoc): Picture {
  if (kind === "plain") return { content: doc.getText("text").toString(), isSomething: true };
  return { content: read(schema, doc).toJSON(), isSomething: hasContent(doc) };
}

/** The texts of a picture of `doc`, with the position in it at which each begins. */
function* textsOf(kind: PictureKind, doc: LoroDoc, { content }: Picture): Generator<{ text: LoroText; start: number }> {
  if (kind === "plain") yield { text: doc.getText("text"), start: 0 };
  else yield* texts(doc, Node.fromJSON(schema, content));
}

/** Who wrote what in a picture of `doc`. */
export function* written(kind: PictureKind, doc: LoroDoc, shown: Picture): Generator<Run> {
  for (const { text, start } of textsOf(kind, doc, shown)) {
    for (const { from, to, author } of runs(text)) yield { from: start + from, to: start + to, author };
  }
}

/** The operation that wrote what is at a position in a picture of `doc`. */
export function operationAt(kind: PictureKind, doc: LoroDoc, shown: Picture, position: number): OpId | undefined {
  for (const { text, start } of textsOf(kind, doc, shown)) {
    if (position >= start && position < start + text.length) return text.getCursor(position - start)?.pos();
  }
  return undefined;
}
