/** An error of corella: `code` is stable, `message` is for people, `cause` is what led to it. */
export class RepoError extends Error {
  constructor(code, message, options) {
    super(message, options);
    this.name = "RepoError";
    this.code = code;
  }
}

export function invalid(message) {
  return new RepoError("invalid-argument", message);
}

/** Checks an object of options. */
export function record(owner, value, known) {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid(`${owner} is an object`);
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) throw invalid(`${owner} has no ${JSON.stringify(key)}; it has ${known.join(", ")}`);
  }
  return value;
}
