// Reads and writes what a wasm module calls its functions, imports and exports, and the bodies of functions. Knows nothing of what is in a body.

const MAGIC = Buffer.from("\0asm\u0001\0\0\0", "latin1");
const IMPORTS = 2;
const EXPORTS = 7;
const CODE = 10;
const NAMES = 0;
const NAMES_OF_FUNCTIONS = 1;

/** Reads numbers, names and bytes from `bytes`, one after the other. */
class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }
  number() {
    let value = 0;
    for (let weight = 1; ; weight *= 128) {
      const byte = this.bytes[this.at++];
      value += (byte & 127) * weight;
      if (byte < 128) return value;
    }
  }
  take(length) {
    return this.bytes.subarray(this.at, (this.at += length));
  }
  text() {
    return this.take(this.number()).toString("utf8");
  }
  get done() {
    return this.at >= this.bytes.length;
  }
}

function number(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value & 127) | 128);
  return Buffer.from([...bytes, value]);
}
const sized = (bytes) => Buffer.concat([number(bytes.length), bytes]);
const text = (value) => sized(Buffer.from(value));
const section = (id, bytes) => Buffer.concat([Buffer.from([id]), sized(bytes)]);

/** Returns the `sections` of a module but its names, and of its own functions, in their order, the `bodies` and the `names`. */
export function read(bytes) {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error("this is no wasm module");
  const reader = new Reader(bytes, MAGIC.length);
  const sections = [];
  const bodies = [];
  const all = [];
  while (!reader.done) {
    const id = reader.number();
    const content = reader.take(reader.number());
    const inside = new Reader(content);
    if (id === NAMES && inside.text() === "name") {
      while (!inside.done) {
        const kind = inside.number();
        const list = new Reader(inside.take(inside.number()));
        if (kind !== NAMES_OF_FUNCTIONS) continue;
        for (let left = list.number(); left > 0; left -= 1) all[list.number()] = list.text();
      }
      continue;
    }
    if (id === CODE) for (let left = inside.number(); left > 0; left -= 1) bodies.push(inside.take(inside.number()));
    sections.push({ id, content });
  }
  // Imported functions come first.
  const imported = Math.max(0, all.length - bodies.length);
  return { sections, bodies, imported, names: bodies.map((_, i) => all[imported + i] ?? "") };
}

/** Returns the bytes of a module, its functions' names included. */
export function write({ sections, bodies, imported, names }) {
  const code = () => Buffer.concat([number(bodies.length), ...bodies.map(sized)]);
  const named = Buffer.concat([number(names.length), ...names.flatMap((name, i) => [number(imported + i), text(name)])]);
  const list = Buffer.concat([text("name"), section(NAMES_OF_FUNCTIONS, named)]);
  return Buffer.concat([
    MAGIC,
    ...sections.map(({ id, content }) => section(id, id === CODE ? code() : content)),
    ...(names.some(Boolean) ? [section(NAMES, list)] : []),
  ]);
}

/** Gives what a module imports, which is functions of one module, other names. */
export function renameImports({ sections }, rename) {
  change(sections, IMPORTS, (reader) => {
    const [from, name, kind, type] = [reader.text(), reader.text(), reader.number(), reader.number()];
    if (kind !== 0) throw new Error(`${from} is asked for ${name}, which is no function: adapt scripts/wasm.mjs`);
    const renamed = rename(from, name);
    return [text(renamed.from), text(renamed.name), number(kind), number(type)];
  });
}

/** Gives what a module exports other names. */
export function renameExports({ sections }, rename) {
  change(sections, EXPORTS, (reader) => [text(rename(reader.text())), number(reader.number()), number(reader.number())]);
}

function change(sections, id, entry) {
  const found = sections.find((section) => section.id === id);
  const reader = new Reader(found.content);
  const count = reader.number();
  const entries = Array.from({ length: count }, () => entry(reader)).flat();
  found.content = Buffer.concat([number(count), ...entries]);
}
