// What tests of two repos in one Node process share: sockets in pairs, timers nobody waits for, waiting with an end.
import assert from "node:assert/strict";
import { RepoError } from "../../pkg/index.js";
import { SocketPair } from "./socket-pair.mjs";

globalThis.WebSocket = SocketPair;
// The long timers of a closed repo end by themselves, but the process need not wait for them.
const { setTimeout: timer } = globalThis;
globalThis.setTimeout = (work, ms, ...rest) => {
  const id = timer(work, ms, ...rest);
  return ms < 2_000 ? id : id.unref();
};

export const code = (expected) => (error) => error instanceof RepoError && error.code === expected;
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(what, condition) {
  const deadline = Date.now() + 10_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `waited in vain until ${what}`);
    await sleep(5);
  }
}
