// What the full build adds to the document API: container trees, values with ids, JSONPath, operations as the engine prints them.
import { LoroCounter, LoroDoc, LoroList, LoroMap, LoroMovableList, LoroText, LoroTree, isContainer } from "./corella.js";
import { add, attached, position } from "./document.js";
import { invalid } from "./errors.js";
import { evaluate, watcher } from "./jsonpath.js";

/** Nesting a container tree may have. */
const MAX_DEPTH = 256;

const mapped = (entries, item) => Object.fromEntries(entries.map(([key, value]) => [key, item(value)]));

/** The roots of a document as handles, by name. */
const roots = (doc) => Object.entries(doc.getShallowValue()).map(([name, id]) => [name, doc.getContainerById(id)]);

/** `{ cid, value }`, and the same of every container in it. */
function withId(container) {
  const item = (value) => (isContainer(value) ? withId(value) : value);
  const kind = container.kind();
  let value;
  if (kind === "Map") value = mapped(container.entries(), item);
  else if (kind === "List" || kind === "MovableList") value = container.toArray().map(item);
  else value = container.toJSON();
  return { cid: container.id, value };
}

/** `{ type, cid, value }`, and the same of every container in it. */
function node(container, text, depth = 1) {
  if (depth > MAX_DEPTH) throw invalid(`a container tree may be ${MAX_DEPTH} levels deep at most`);
  const item = (value) => leaf(value, text, depth + 1);
  const branch = ({ id, parent = null, index, fractionalIndex, meta, children }) => {
    return { id, parent, index, fractional_index: fractionalIndex, meta: node(meta, text, depth + 1), children: children.map(branch) };
  };
  const type = container.kind();
  let value;
  if (type === "Map") value = mapped(container.entries(), item);
  else if (type === "Text" && text === "delta") value = container.toDelta();
  else if (type === "Tree") value = container.toArray().map(branch);
  else if (type === "Text" || type === "Counter") value = container.toJSON();
  else value = container.toArray().map(item);
  return { type, cid: container.id, value };
}

const leaf = (value, text, depth) => (isContainer(value) ? node(value, text, depth) : { type: "Value", value });

/** Checks the options of the `toContainerTree` methods. */
function textFormat(options, keys = ["text"]) {
  if (options != null && typeof options !== "object") throw invalid("the options of toContainerTree are an object");
  const { text = "plain", roots } = options ?? {};
  const strange = Object.keys(options ?? {}).find((key) => !keys.includes(key));
  if (strange !== undefined) throw invalid(`toContainerTree has no option ${strange}`);
  if (text !== "plain" && text !== "delta") throw invalid('the text of a container tree is "plain" or "delta"');
  if (roots !== undefined && !(Array.isArray(roots) && roots.every((name) => typeof name === "string"))) {
    throw invalid("the roots of a container tree are an array of names");
  }
  return text;
}

const rawId = (text) => {
  const [counter, peer] = text.split("@");
  return { peer: BigInt(peer), counter: Number(counter) };
};

/** A value as the engine prints it: whole numbers as bigints, objects as Maps. Bytes are whole numbers like any others. */
function raw(value) {
  if (Number.isSafeInteger(value)) return BigInt(value);
  if (Array.isArray(value)) return value.map(raw);
  if (typeof value === "object" && value !== null) return new Map(Object.entries(value).map(([key, item]) => [key, raw(item)]));
  return value ?? undefined;
}

function rawContainer(id) {
  const [, root, type] = /^cid:root-([^]*):(.*)$/.exec(id) ?? [];
  if (type !== undefined) return { Root: { name: root, container_type: type } };
  const [, made, kind] = /^cid:(.*):(.*)$/.exec(id);
  return { Normal: { ...rawId(made), container_type: kind } };
}

/** The content of an operation as the engine prints it. */
function rawContent(kind, op) {
  const pos = BigInt(op.pos ?? 0);
  const element = () => {
    const [lamport, peer] = op.elem_id.slice(1).split("@");
    return { lamport: Number(lamport), peer: BigInt(peer) };
  };
  if (kind === "Map") return { Map: { key: op.key, value: raw(op.value) } };
  if (kind === "Counter") return { Counter: op.value };
  if (kind === "Tree") {
    const target = rawId(op.target);
    if (op.type === "delete") return { Tree: { Delete: { target } } };
    const position = op.fractional_index.match(/../g).map((digits) => parseInt(digits, 16));
    const at = { target, parent: op.parent === null ? undefined : rawId(op.parent), position };
    return { Tree: op.type === "create" ? { Create: at } : { Move: at } };
  }
  switch (op.type) {
    case "insert": {
      const slice = kind === "Text" ? { RawStr: { str: op.text, unicode_len: BigInt([...op.text].length) } } : { RawData: op.value.map(raw) };
      return { List: { Insert: { slice, pos } } };
    }
    case "delete": return { List: { Delete: { id_start: rawId(op.start_id), span: { pos, signed_len: BigInt(op.len) } } } };
    case "move": return { List: { Move: { from: op.from, to: op.to, elem_id: element() } } };
    case "set": return { List: { Set: { elem_id: element(), value: raw(op.value) } } };
    case "mark": {
      const { start, end, style_key: key, info, style_value: value } = op;
      return { List: { StyleStart: { start, end, key, info: { data: info }, value: raw(value) } } };
    }
    default: return { List: "StyleEnd" };
  }
}

const ofEveryContainer = {
  toContainerTree(options) {
    const text = textFormat(options);
    attached(this, "toContainerTree");
    return node(this, text);
  },
};

const ofContainersWithValues = {
  getDeepValueWithID() {
    attached(this, "getDeepValueWithID");
    return withId(this);
  },
};

const ofLists = {
  getRangeDeepValueWithID(start, end) {
    attached(this, "getRangeDeepValueWithID");
    return withId(this).value.slice(position(start), position(end));
  },
  toContainerTreeSlice(start, end, options) {
    const text = textFormat(options);
    attached(this, "toContainerTreeSlice");
    for (const bound of [start, end]) {
      if (!Number.isInteger(bound) || bound !== bound >>> 0) throw invalid("the bounds of a slice are whole numbers, 0 or more");
    }
    const items = this.toArray();
    return { cid: this.id, start: Math.min(start, items.length), totalLength: items.length, items: items.slice(start, end).map((value) => leaf(value, text, 2)) };
  },
};

const ofDocuments = {
  importUpdateBatch(data) {
    return this.importBatch(data);
  },

  getOpsInChange(id) {
    return this.__changeAsJson(id).ops.map(({ counter, container, content }) => {
      return { counter, container: rawContainer(container), content: rawContent(container.slice(container.lastIndexOf(":") + 1), content) };
    });
  },

  JSONPath(path) {
    return evaluate(this, path);
  },

  subscribeJsonpath(path, listener) {
    const concerns = watcher(path);
    return this.subscribe((event) => {
      if (concerns(event)) listener();
    });
  },

  getDeepValueWithID() {
    return mapped(roots(this), withId);
  },

  toContainerTree(options) {
    const text = textFormat(options, ["text", "roots"]);
    const wanted = options?.roots;
    return mapped(
      roots(this).filter(([name]) => wanted === undefined || wanted.includes(name)),
      (root) => node(root, text),
    );
  },

  toContainerTreeJson(options) {
    return JSON.stringify(this.toContainerTree(options), (_, value) => {
      if (value instanceof Uint8Array || (typeof value === "number" && !Number.isFinite(value))) {
        throw invalid("JSON has no bytes, NaN and Infinity: use toContainerTree");
      }
      return value;
    });
  },
};

/** Adds the methods; called when the module is loaded. */
export function completeExtras() {
  add(LoroDoc, ofDocuments);
  add(LoroText, ofEveryContainer, ofContainersWithValues);
  add(LoroMap, ofEveryContainer, ofContainersWithValues);
  add(LoroList, ofEveryContainer, ofContainersWithValues, ofLists);
  add(LoroMovableList, ofEveryContainer, ofContainersWithValues, ofLists);
  add(LoroTree, ofEveryContainer, ofContainersWithValues);
  add(LoroCounter, ofEveryContainer);
}
