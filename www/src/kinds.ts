// What the notebook needs of an editor.
import type { DocHandle, LoroDoc, PeerID } from "corella";
import type { Person, Presence } from "./people.js";
import type { PictureKind } from "./pictures.js";

export interface Editor {
  focus(): void;
  destroy(): void;
}

/** What one person wrote, in positions of the preview. */
export interface Part extends Person {
  from: number;
  to: number;
  author: PeerID;
}

/** A note as it was, not to be edited. */
export interface Preview {
  /** Shows a picture's content. */
  show(content: unknown): void;
  /** Colours what it shows by author. */
  colour(parts: Part[]): void;
  /** The position in it at a place on the screen. */
  positionAt(x: number, y: number): number | undefined;
  destroy(): void;
}

export interface EditorKind {
  readonly kind: PictureKind;
  /** Puts into a new note what every editor of it must find there. */
  begin(handle: DocHandle): void;
  /** Whether that is here; the note may still be on its way. */
  isReady(doc: LoroDoc): boolean;
  edit(parent: HTMLElement, handle: DocHandle, me: Person, presence: Presence): Editor;
  preview(parent: HTMLElement): Preview;
}
