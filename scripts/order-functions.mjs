// Puts functions that resemble each other side by side, where they compress better: copies of one generic function, and what is written alike.
// Renames each to its place; `wasm-opt --reorder-functions-by-name` then moves them.
//
//   node scripts/order-functions.mjs corella_bg.wasm        with its names
import { readFileSync, writeFileSync } from "node:fs";
import { read, write } from "./wasm.mjs";

/** Functions resemble each other by the pieces of this many bytes that are in both. */
const PIECE = 4;
/** Pieces that more functions have say nothing. */
const COMMON = 2000;
/** What the functions before the last one count, of what the one after each counts; and less than which they count no more. */
const FADE = 0.5;
const FAINT = 0.001;

const path = process.argv[2];
const module = read(readFileSync(path));
const { bodies, names } = module;

const pieces = bodies.map((body) => {
  const found = new Set();
  for (let end = PIECE; end <= body.length; end += 1) {
    let hash = 0;
    for (let at = end - PIECE; at < end; at += 1) hash = (Math.imul(hash, 0x01000193) ^ body[at]) >>> 0;
    found.add(hash);
  }
  return found;
});
const having = new Map();
pieces.forEach((found, i) => {
  for (const piece of found) {
    if (!having.has(piece)) having.set(piece, []);
    having.get(piece).push(i);
  }
});

// On to the one left that is most like the last one, and those before it; where none is, by name.
const byName = names.map((_, i) => i).sort((a, b) => (names[a] < names[b] ? -1 : names[a] > names[b] ? 1 : a - b));
const placed = new Uint8Array(bodies.length);
const shared = new Uint32Array(bodies.length);
const likeness = new Float64Array(bodies.length);
let likely = [];
const order = [];
let next = 0;
function mostLike(current) {
  const like = [];
  for (const piece of pieces[current]) {
    const others = having.get(piece);
    if (others.length > COMMON) continue;
    for (const other of others) {
      if (placed[other]) continue;
      if (shared[other] === 0) like.push(other);
      shared[other] += 1;
    }
  }
  likely = likely.filter((other) => {
    likeness[other] *= FADE;
    if (!placed[other] && likeness[other] >= FAINT) return true;
    likeness[other] = 0;
    return false;
  });
  for (const other of like) {
    if (likeness[other] === 0) likely.push(other);
    likeness[other] += shared[other] / Math.sqrt(pieces[current].size * pieces[other].size);
    shared[other] = 0;
  }
  let [best, most] = [-1, 0];
  for (const other of likely) if (likeness[other] > most) [best, most] = [other, likeness[other]];
  return best;
}
for (let current = -1; order.length < bodies.length; ) {
  current = current < 0 ? -1 : mostLike(current);
  while (current < 0) {
    if (!placed[byName[next]]) current = byName[next];
    next += 1;
  }
  placed[current] = 1;
  order.push(current);
}

order.forEach((function_, place) => {
  names[function_] = String(place).padStart(6, "0");
});
writeFileSync(path, write(module));
