// What a panic in the module becomes: an error of the call, and the end of the document it happened in.
import { __resume, __takePanic } from "./corella.js";
import { RepoError } from "./errors.js";

let giving = false;
let resuming = false;

/** Makes the error of a call that ended in a trap; `self` is the object called. */
export function panicked(cause, self) {
  // What is called below may end in a trap as well.
  if (giving) return cause;
  giving = true;
  let message = cause.message;
  let known = false;
  try {
    message = __takePanic() ?? message;
    known = self?.__lose?.(message) === true;
  } catch {
    // The object was not made yet, or belongs to no document.
  } finally {
    giving = false;
  }
  if (!resuming) {
    resuming = true;
    // Nothing of the module is on the stack then.
    queueMicrotask(() => {
      resuming = false;
      __resume();
    });
  }
  if (known) return new RepoError("closed", "this document was closed because the engine panicked in it; open it again", { cause });
  return new RepoError("panic", `a defect of corella ended this call: ${message}`, { cause });
}
