// Says of every access to an integer in memory that it is aligned, which makes the code more alike.
//
// What is said of alignment is a hint: an access does the same wherever it goes, and machines of today read integers anywhere. Floating-point
// numbers stay as they are, for 32-bit ARM does not read those anywhere.
//
//   node scripts/even-accesses.mjs corella_bg.wasm
import { readFileSync, writeFileSync } from "node:fs";
import { read, write } from "./wasm.mjs";

/** The first and the last instruction that reads or writes memory, and the alignment of what it is about, as a power of two; floating-point numbers left out. */
const [FIRST_ACCESS, LAST_ACCESS] = [0x28, 0x3e];
const ALIGNMENT = new Map(
  Object.entries({
    0: [0x2c, 0x2d, 0x30, 0x31, 0x3a, 0x3c],
    1: [0x2e, 0x2f, 0x32, 0x33, 0x3b, 0x3d],
    2: [0x28, 0x34, 0x35, 0x36, 0x3e],
    3: [0x29, 0x37],
  }).flatMap(([power, codes]) => codes.map((code) => [code, Number(power)])),
);

/** How many numbers follow an instruction. */
const NUMBERS = new Map([
  ...[0x00, 0x01, 0x05, 0x0b, 0x0f, 0x1a, 0x1b, 0xd1].map((code) => [code, 0]),
  // All that only computes.
  ...Array.from({ length: 0xc4 - 0x45 + 1 }, (_, i) => [0x45 + i, 0]),
  ...[0x0c, 0x0d, 0x10, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x3f, 0x40, 0x41, 0x42, 0xd0, 0xd2].map((code) => [code, 1]),
  [0x11, 2],
]);
const [BLOCK, LOOP, IF, BR_TABLE, SELECT_TYPED, F32_CONST, F64_CONST, MORE] = [0x02, 0x03, 0x04, 0x0e, 0x1c, 0x43, 0x44, 0xfc];
/** As above, of those that begin with `MORE`. */
const NUMBERS_OF_MORE = [0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 1, 2, 1, 2, 1, 1, 1];

function even(body) {
  const out = Buffer.from(body);
  let at = 0;
  const number = () => {
    let value = 0;
    for (let weight = 1; ; weight *= 128) {
      const byte = out[at++];
      value += (byte & 127) * weight;
      if (byte < 128) return value;
    }
  };
  const skip = (count) => {
    for (; count > 0; count -= 1) number();
  };
  for (let groups = number(); groups > 0; groups -= 1) {
    number();
    at += 1;
  }
  while (at < out.length) {
    const code = out[at++];
    if (code >= FIRST_ACCESS && code <= LAST_ACCESS) {
      if (ALIGNMENT.has(code)) out[at] = ALIGNMENT.get(code);
      skip(2);
    } else if (NUMBERS.has(code)) skip(NUMBERS.get(code));
    // A block's type is one byte, or a number of as many as it takes.
    else if (code === BLOCK || code === LOOP || code === IF) number();
    else if (code === BR_TABLE) skip(number() + 1);
    else if (code === SELECT_TYPED) skip(number());
    else if (code === F32_CONST) at += 4;
    else if (code === F64_CONST) at += 8;
    else if (code === MORE) skip(NUMBERS_OF_MORE[number()] ?? unknown(code));
    else unknown(code);
  }
  if (at !== out.length) throw new Error("a function ends in the middle of an instruction: adapt scripts/even-accesses.mjs");
  return out;
}

function unknown(code) {
  throw new Error(`instruction 0x${code.toString(16)} is not known: adapt scripts/even-accesses.mjs`);
}

const path = process.argv[2];
const module = read(readFileSync(path));
module.bodies = module.bodies.map(even);
writeFileSync(path, write(module));
