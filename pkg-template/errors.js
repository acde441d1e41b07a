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
