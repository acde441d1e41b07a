// Judgement of what peers send: the limiter, and the functions of the application. Plain descriptions until a repo is opened with
// them: they exist before the module is loaded.
import { RepoError, invalid } from "./errors.js";

const KINDS = [
  "sync-request",
  "sync-response",
  "update",
  "directory-request",
  "directory-response",
  "new-doc",
  "delete-request",
  "delete-response",
  "ephemeral",
  "heads",
  "want",
  "give",
  "ack",
  "refusal",
  "digest",
  "deleted",
  "prune",
];
const REASONS = ["mutability", "creation", "deletion", "rate-limited", "too-large", "unauthorized", "deleted", "invalid", "storage"];
const LIMITS = ["messagesPerSecond", "burst", "bytesPerSecond", "byteBurst", "kinds"];
// A document takes several messages to come over.
const LEAST_BURST = 10;
const MAX_RETRY = 2 ** 32 - 1;

/** Refuses what a peer sends too fast, as "rate-limited". Every repo it is given to counts for itself. */
export class RateLimiter {
  constructor(options) {
    if (typeof options !== "object" || options === null) throw invalid("RateLimiter takes an object of options");
    for (const key of Object.keys(options)) {
      if (!LIMITS.includes(key)) throw invalid(`RateLimiter has no option ${JSON.stringify(key)}; it has ${LIMITS.join(", ")}`);
    }
    const { messagesPerSecond, bytesPerSecond, kinds } = options;
    if (messagesPerSecond === undefined && bytesPerSecond === undefined) throw invalid("RateLimiter: messagesPerSecond, bytesPerSecond or both");
    const burst = burstOf(options, "burst", "messagesPerSecond", LEAST_BURST);
    const byteBurst = burstOf(options, "byteBurst", "bytesPerSecond", 1);
    if (kinds !== undefined && !(Array.isArray(kinds) && kinds.every((kind) => KINDS.includes(kind)))) {
      throw invalid(`RateLimiter: kinds is an array of ${KINDS.join(", ")}`);
    }
    this.__options = { messagesPerSecond, burst, bytesPerSecond, byteBurst, kinds: kinds && [...kinds] };
  }
}

/** Returns the burst: what one second gives unless told, and at least `least`. */
function burstOf(options, key, rateKey, least) {
  const rate = options[rateKey];
  const burst = options[key];
  if (rate !== undefined && !(typeof rate === "number" && rate > 0 && rate < Infinity)) throw invalid(`RateLimiter: ${rateKey} is a number above 0`);
  if (burst === undefined) return rate && Math.max(least, rate);
  if (rate === undefined) throw invalid(`RateLimiter: ${key} goes with ${rateKey}`);
  if (!(typeof burst === "number" && burst >= 1 && burst < Infinity)) throw invalid(`RateLimiter: ${key} is a number, at least 1`);
  return burst;
}

/** Returns the admissions as a list. */
export function checkedAdmission(value) {
  const all = value === undefined ? [] : Array.isArray(value) ? value : [value];
  for (const one of all) {
    if (typeof one !== "function" && !(one instanceof RateLimiter)) throw invalid("admission is a function, a RateLimiter or an array of these");
  }
  return all;
}

/**
 * Makes what the module asks: it never throws, and gives true, a refusal, or a promise of either that is never rejected. `inside` runs
 * the application's function, `report` tells what is wrong with it.
 */
export function wrappedAdmission(admission, inside, report) {
  if (admission instanceof RateLimiter) return admission.__options;
  const refused = { reason: "unauthorized" };
  const failed = (cause) => {
    report(new RepoError("refused", "admission threw; that counts as a refusal", { cause }));
    return refused;
  };
  const checked = (answer) => {
    if (answer === true) return true;
    if (answer === false) return refused;
    const { reason = "unauthorized", retryMs } = answer ?? {};
    if (typeof answer === "object" && answer !== null && REASONS.includes(reason)) {
      if (retryMs === undefined) return { reason };
      if (typeof retryMs === "number" && retryMs >= 0) return { reason, retryMs: Math.min(retryMs, MAX_RETRY) };
    }
    report(invalid("admission must give true, false, { reason?, retryMs? } or a promise of one of these"));
    return refused;
  };
  return (message) => {
    try {
      Object.freeze(message.peer);
      const answer = inside(() => admission(Object.freeze(message)));
      return typeof answer?.then === "function" ? Promise.resolve(answer).then(checked).catch(failed) : checked(answer);
    } catch (cause) {
      return failed(cause);
    }
  };
}
