// Editing histories to replay: the recorded ones where they are there, else generated ones of the same format.
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { gunzipSync } from "node:zlib";

export interface Trace {
  endContent: string;
  /** `patches`: position, characters to delete, text to insert. `parents`: the transactions it was made on top of. */
  txns: { parents: number[]; agent: number; patches: [number, number, string][] }[];
}

const folder = resolve(import.meta.dirname, "../../../shared/data/traces");

function recorded(name: string): Trace | undefined {
  const path = resolve(folder, `${name}.json.gz`);
  if (!existsSync(path)) return undefined;
  const trace = JSON.parse(gunzipSync(readFileSync(path)).toString()) as Trace;
  return { ...trace, txns: trace.txns.map((txn) => ({ ...txn, parents: txn.parents ?? [], agent: txn.agent ?? 0 })) };
}

/** Deterministic noise. */
function dice(seed: number): (below: number) => number {
  return (below) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
}

/**
 * Two authors who take turns, each turn at once on both sides and joined afterwards. They keep to their own halves, on both sides of
 * a bar in the middle, so that the merged text is known without a CRDT.
 */
function generated(rounds: number): Trace {
  const roll = dice(7);
  const halves: [string, string] = ["", ""];
  const txns: Trace["txns"] = [{ parents: [], agent: 0, patches: [[0, 0, "|"]] }];
  let joined = [0];
  for (let round = 0; round < rounds; round++) {
    const seen: [string, string] = [halves[0], halves[1]];
    const tips: number[] = [];
    for (const agent of [0, 1] as const) {
      let parents = joined;
      const offset = agent === 0 ? 0 : seen[0].length + 1;
      for (let step = 0; step < 1 + roll(8); step++) {
        const own = halves[agent];
        const at = roll(own.length + 1);
        const remove = roll(4) === 0 ? Math.min(roll(3), own.length - at) : 0;
        const insert = remove > 0 ? "" : String.fromCharCode(97 + roll(26)).repeat(1 + roll(2));
        if (!remove && !insert) continue;
        txns.push({ parents, agent, patches: [[offset + at, remove, insert]] });
        parents = [txns.length - 1];
        halves[agent] = own.slice(0, at) + insert + own.slice(at + remove);
      }
      tips.push(...parents);
    }
    joined = [...new Set(tips)];
  }
  return { endContent: `${halves[0]}|${halves[1]}`, txns };
}

export const friendsforever = (): Trace => recorded("friendsforever") ?? generated(1500);

/** Sequential typing; `endContent` is that of the transactions given. */
export function sequential(limit: number): Trace {
  const trace = recorded("automerge-paper");
  const roll = dice(11);
  const txns =
    trace?.txns.slice(0, limit) ??
    Array.from({ length: limit }, (_, n) => ({ parents: n ? [n - 1] : [], agent: 0, patches: [[roll(n + 1), 0, String.fromCharCode(97 + roll(26))]] as [number, number, string][] }));
  let content = "";
  for (const { patches } of txns) {
    for (const [at, remove, insert] of patches) content = content.slice(0, at) + insert + content.slice(at + remove);
  }
  return { endContent: content, txns };
}
