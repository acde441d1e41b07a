// Backups as streams: what they hold is decided by the module.
import { call } from "./ephemeral.js";
import { RepoError, invalid } from "./errors.js";

const PIECE = 1024 * 1024;

function aborted(signal) {
  return new RepoError("aborted", "the backup was aborted", { cause: signal.reason });
}

export function checkedOptions(owner, { onProgress, signal }) {
  if (onProgress !== undefined && typeof onProgress !== "function") throw invalid(`onProgress of ${owner} is a function`);
  if (signal !== undefined && typeof signal?.addEventListener !== "function") throw invalid("signal is an AbortSignal");
  return { onProgress, signal };
}

/** Makes a stream of the pieces of a backup; the next one is made when it is asked for. */
export function exported(inner, { onProgress, signal }) {
  return new ReadableStream(
    {
      async pull(controller) {
        if (signal?.aborted) throw aborted(signal);
        const next = await inner.next();
        if (next === undefined) {
          inner.free();
          return controller.close();
        }
        controller.enqueue(next[0]);
        if (onProgress) call(onProgress, next[1]);
      },
      cancel() {
        inner.free();
      },
    },
    { highWaterMark: 1 },
  );
}

async function* pieces(file) {
  if (file instanceof Uint8Array) {
    for (let at = 0; at < file.length; at += PIECE) yield file.subarray(at, at + PIECE);
    return;
  }
  const stream = typeof file.stream === "function" ? file.stream() : file;
  if (typeof stream.getReader !== "function") return yield* stream;
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.releaseLock();
  }
}

export function isFile(file) {
  if (file instanceof Uint8Array) return true;
  return typeof file === "object" && file !== null && ["stream", "getReader", Symbol.asyncIterator].some((key) => typeof file[key] === "function");
}

/** Merges the pieces of a backup. */
export async function imported(inner, file, { onProgress, signal }) {
  try {
    for await (const piece of pieces(file)) {
      if (signal?.aborted) throw aborted(signal);
      if (!(piece instanceof Uint8Array)) throw invalid("a backup is made of Uint8Arrays");
      const progress = await inner.push(piece);
      if (onProgress) call(onProgress, progress);
    }
    return await inner.finish();
  } finally {
    inner.free();
  }
}
