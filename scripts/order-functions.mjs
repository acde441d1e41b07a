// Puts functions that resemble each other side by side, where they compress better: copies of one generic function, and what is written alike.
// Renames each to its place; `wasm-opt --reorder-functions-by-name` then moves them.
//
//   node scripts/order-functions.mjs corella_bg.wasm        with its names
import { readFileSync, writeFileSync } from "node:fs";
import { read, write } from "./wasm.mjs";

/** Functions resemble each other by the pieces of this many bytes that are in both. */
const PIECE = 6;
/** Pieces that more functions have say nothing. */
const COMMON = 500;

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

// From each function to the one left that is most like it; where none is, on with the next by name.
const byName = names.map((_, i) => i).sort((a, b) => (names[a] < names[b] ? -1 : names[a] > names[b] ? 1 : a - b));
const placed = new Uint8Array(bodies.length);
const shared = new Uint32Array(bodies.length);
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
  let [best, most] = [-1, 0];
  for (const other of like) {
    const part = shared[other] / (pieces[current].size + pieces[other].size - shared[other]);
    if (part > most) [best, most] = [other, part];
    shared[other] = 0;
  }
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
