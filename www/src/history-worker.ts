// A copy of a note in a thread of its own, checked out at one version after another: however long the history, the page goes on.
import { type HistoryChange, init, LoroDoc, type OpId } from "corella";
import { operationAt, type Picture, type PictureKind, picture, written } from "./pictures.js";
import type { Run } from "./runs.js";

export type Question =
  | { type: "begin"; kind: PictureKind; bytes: Uint8Array }
  /** What is new in the note. */
  | { type: "grow"; bytes: Uint8Array }
  | { type: "show"; version: OpId[] }
  /** Who wrote what is at a position of what was shown last. */
  | { type: "who"; position: number };

export type Answer =
  | { type: "picture"; picture: Picture }
  /** More of who wrote what in the last picture. */
  | { type: "runs"; runs: Run[] }
  | ({ type: "author" } & Pick<HistoryChange, "author" | "time" | "message">);

const answer = (message: Answer) => postMessage(message);
const pause = () => new Promise((resolve) => setTimeout(resolve, 0));
/** Milliseconds of colouring after which a newer question is looked at. */
const SLICE = 20;

let kind: PictureKind = "plain";
let doc: LoroDoc | undefined;
let shown: Picture | undefined;
let asked = 0;
let working: Promise<void> = init();

/** Questions in the order they came; colouring gives way to the next one. */
addEventListener("message", ({ data }: MessageEvent<Question>) => {
  const number = (asked += data.type === "show" ? 1 : 0);
  working = working.then(() => take(data)).then(() => (data.type === "show" ? void colour(number) : undefined));
});

function take(question: Question): void {
  if (question.type === "begin") {
    kind = question.kind;
    doc = new LoroDoc();
    doc.import(question.bytes);
  } else if (!doc) return;
  else if (question.type === "grow") doc.import(question.bytes);
  else if (question.type === "show") {
    doc.checkout(question.version);
    answer({ type: "picture", picture: (shown = picture(kind, doc)) });
  } else if (shown) {
    const operation = operationAt(kind, doc, shown, question.position);
    if (!operation) return;
    const { peer, timestamp, message } = doc.getChangeAt(operation);
    answer({ type: "author", author: peer, time: timestamp === 0 ? undefined : timestamp * 1000, message });
  }
}

async function colour(number: number): Promise<void> {
  if (!doc || !shown) return;
  let found: Run[] = [];
  let began = performance.now();
  for (const run of written(kind, doc, shown)) {
    found.push(run);
    if (performance.now() - began < SLICE) continue;
    answer({ type: "runs", runs: found });
    found = [];
    await pause();
    if (number !== asked) return;
    began = performance.now();
  }
  answer({ type: "runs", runs: found });
}
