// Who wrote which part of a text.
import type { LoroText, PeerID } from "corella";

export interface Run {
  from: number;
  to: number;
  author: PeerID;
}

/** The runs of one author, in pieces of 512 characters at most. A character is asked about, not half of one. */
export function* runs(text: LoroText): Generator<Run> {
  let run: Run | undefined;
  let at = 0;
  for (const character of text.toString()) {
    const author = text.getEditorOf(at);
    const end = at + character.length;
    if (run && run.author === author && end - run.from <= 512) run.to = end;
    else {
      if (run) yield run;
      run = author === undefined ? undefined : { from: at, to: end, author };
    }
    at = end;
  }
  if (run) yield run;
}
