// JSONPath over documents: the engine's grammar and its results, without the weight of its parser.
import { isContainer } from "./corella.js";
import { invalid } from "./errors.js";

const SPACE = /[ \t\n\r]*/y;
const INT = /0|-?[1-9][0-9]*/y;
const NUMBER = /(?:0|-?[1-9]\d*|-0)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;
const NAME = /[A-Za-z_\u0080-\uD7FF\uE000-\u{10FFFF}][0-9A-Za-z_\u0080-\uD7FF\uE000-\u{10FFFF}]*/uy;
const FUNCTION = /[a-z][a-z_0-9]*/y;
const LITERAL = /true|false|null/y;
const OPERATOR = /==|!=|<=|>=|<|>|contains|in/y;
const [DOUBLE, SINGLE] = ['"', "'"].map((quote) => {
  const other = quote === '"' ? "'" : '"';
  const hex = "(?:[0-9A-CEFa-cef][0-9A-Fa-f]{3}|[Dd][0-7][0-9A-Fa-f]{2}|[Dd][89ABab][0-9A-Fa-f]{2}\\\\u[Dd][C-Fc-f][0-9A-Fa-f]{2})";
  const plain = "[ !#-&(-\\[\\]-\\uD7FF\\uE000-\\u{10FFFF}]";
  return new RegExp(`${quote}(?:${plain}|${other}|\\\\(?:${quote}|[bfnrt/\\\\]|u${hex}))*${quote}`, "uy");
});

/** What functions take and return. */
const FUNCTIONS = {
  count: { takes: ["nodes"], run: ({ nodes }) => nodes.length },
  length: { takes: ["value"], run: ({ value }) => lengthOf(value) },
  value: { takes: ["nodes"], run: ({ nodes }) => (nodes.length === 1 ? valueOf(nodes[0]) : null) },
  match: { takes: ["value", "value"], logical: true },
  search: { takes: ["value", "value"], logical: true },
};

function lengthOf(value) {
  // A query that was not made a value by value() has no length, as in the engine.
  if (typeof value === "string") return new TextEncoder().encode(value).length;
  if (Array.isArray(value)) return value.length;
  return isPlainObject(value) ? Object.keys(value).length : 0;
}

const isPlainObject = (value) => typeof value === "object" && value !== null && !(value instanceof Uint8Array) && !Array.isArray(value);
const valueOf = (node) => (isContainer(node) ? node.getShallowValue() : node);
const isTrue = ({ nodes, value }) => {
  if (nodes !== undefined) return nodes.length > 0;
  return isPlainObject(value) || Array.isArray(value) ? lengthOf(value) > 0 : !(value instanceof Uint8Array) && Boolean(value);
};

function compareValues(left, operator, right) {
  if (operator === "in") return Array.isArray(right) && right.some((item) => compareValues(left, "==", item));
  if (left === null && right === null) return operator === "==";
  if (typeof left !== typeof right) return false;
  if (typeof left === "number") {
    if (operator === "==") return Math.abs(left - right) < Number.EPSILON;
    if (operator === "!=") return Math.abs(left - right) >= Number.EPSILON;
  } else if (typeof left === "boolean") {
    if (operator !== "==" && operator !== "!=") return false;
  } else if (typeof left === "string") {
    if (operator === "contains") return left.includes(right);
  } else {
    return false;
  }
  switch (operator) {
    case "==": return left === right;
    case "!=": return left !== right;
    case "<": return left < right;
    case "<=": return left <= right;
    case ">": return left > right;
    case ">=": return left >= right;
    default: return false;
  }
}

function compare(left, operator, right) {
  const values = ({ nodes, value }) => (nodes === undefined ? [value] : nodes.map(valueOf));
  const others = values(right);
  return values(left).some((value) => others.some((other) => compareValues(value, operator, other)));
}

/** Reads a path: segments `{ deep, selectors }`. Rules return undefined where they do not match. */
function parse(text) {
  let at = 0;
  const refuse = (why) => invalid(`${JSON.stringify(text)} is no JSONPath: ${why}`);
  const eat = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  const is = (token) => {
    const found = text.startsWith(token, at);
    if (found) at += token.length;
    return found;
  };
  const space = () => eat(SPACE);
  const either = (...rules) => {
    const start = at;
    for (const rule of rules) {
      const found = rule();
      if (found !== undefined) return found;
      at = start;
    }
    return undefined;
  };
  /** One or more of a rule between separators. */
  const list = (rule, separator) => {
    const first = rule();
    if (first === undefined) return undefined;
    const found = [first];
    for (;;) {
      const start = at;
      space();
      const next = is(separator) ? (space(), rule()) : undefined;
      if (next === undefined) {
        at = start;
        return found;
      }
      found.push(next);
    }
  };
  const many = (rule) => {
    const found = [];
    for (;;) {
      const next = either(() => (space(), rule()));
      if (next === undefined) return found;
      found.push(next);
    }
  };

  const string = () => {
    const quoted = eat(DOUBLE) ?? eat(SINGLE);
    if (quoted === undefined) return undefined;
    const escaped = quoted.slice(1, -1).replace(/\\.|"/g, (part) => (part === "\\'" ? "'" : part === '"' ? '\\"' : part));
    return { text: JSON.parse(`"${escaped}"`) };
  };
  const index = () => {
    const digits = eat(INT);
    if (digits === undefined) return undefined;
    if (!Number.isSafeInteger(Number(digits))) throw refuse(`${digits} is out of range`);
    return Number(digits);
  };
  const name = () => {
    const quoted = string();
    return quoted && { name: quoted.text };
  };
  const shorthand = () => {
    const found = eat(NAME);
    return found === undefined ? undefined : { name: found };
  };
  const wildcard = () => (is("*") ? { wild: true } : undefined);
  const indexed = () => {
    const found = index();
    return found === undefined ? undefined : { index: found };
  };
  const slice = () => {
    const spaced = () => either(() => {
      const found = index();
      space();
      return found;
    });
    const start = spaced();
    if (!is(":")) return undefined;
    space();
    const stop = spaced();
    const step = is(":") ? either(() => (space(), index())) : undefined;
    return { slice: [start, stop, step] };
  };
  const filter = () => {
    if (!is("?")) return undefined;
    space();
    const test = or(true);
    return test && { filter: test };
  };
  const bracketed = () => {
    if (!is("[")) return undefined;
    space();
    const selectors = list(() => either(name, wildcard, slice, indexed, filter), ",");
    space();
    return selectors !== undefined && is("]") ? selectors : undefined;
  };
  const one = (rule) => () => {
    const found = rule();
    return found && [found];
  };
  const segment = () => {
    const deep = is("..");
    const selectors = deep
      ? either(bracketed, one(wildcard), one(shorthand))
      : either(bracketed, () => (is(".") ? either(one(wildcard), one(shorthand)) : undefined));
    return selectors && { deep, selectors };
  };
  const singular = () => {
    const selector = either(
      () => {
        const found = is("[") ? either(name, indexed) : undefined;
        return found && is("]") ? found : undefined;
      },
      () => (is(".") ? shorthand() : undefined),
    );
    return selector && { deep: false, selectors: [selector] };
  };
  const query = (rule) => () => {
    const relative = is("@");
    if (!relative && !is("$")) return undefined;
    const segments = many(rule);
    const single = segments.every(
      ({ deep, selectors: [selector, more] }) => !deep && more === undefined && ("name" in selector || "index" in selector),
    );
    return { kind: "query", single, run: (root, current) => ({ nodes: find(relative ? current : root, segments) }) };
  };

  const constant = (value) => ({ kind: "literal", run: () => ({ value }) });
  const literal = () => {
    const digits = eat(NUMBER);
    if (digits !== undefined) return constant(Number(digits));
    const quoted = string();
    if (quoted !== undefined) return constant(quoted.text);
    const word = eat(LITERAL);
    if (word !== undefined) return constant(JSON.parse(word));
    if (!is("[")) return undefined;
    space();
    const items = list(() => either(literal), ",") ?? [];
    space();
    return is("]") ? constant(items.map((item) => item.run().value)) : undefined;
  };
  const call = () => {
    const called = eat(FUNCTION);
    if (called === undefined || !is("(")) return undefined;
    space();
    const args = list(() => either(query(segment), () => or(false), call, literal), ",") ?? [];
    space();
    if (!is(")")) return undefined;
    const known = Object.hasOwn(FUNCTIONS, called) ? FUNCTIONS[called] : undefined;
    if (known === undefined) throw refuse(`there is no function ${called}()`);
    if (args.length !== known.takes.length) throw refuse(`${called}() takes ${known.takes.length} arguments`);
    args.forEach((arg, i) => {
      const fits =
        arg.kind === "query"
          ? known.takes[i] === "nodes" || arg.single
          : known.takes[i] === "value" && (arg.kind === "literal" || (arg.kind === "function" && !arg.logical));
      if (!fits) throw refuse(`argument ${i + 1} of ${called}() is not of the right kind`);
    });
    if (known.run === undefined) throw refuse(`${called}() is not implemented`);
    return { kind: "function", name: called, logical: known.logical, run: (...at) => ({ value: known.run(args[0].run(...at)) }) };
  };
  const comparable = () => either(literal, query(singular), call);
  const comparison = () => {
    const left = comparable();
    space();
    const operator = left && eat(OPERATOR);
    space();
    const right = operator && comparable();
    return right && { kind: "logical", run: (...at) => ({ value: compare(left.run(...at), operator, right.run(...at)) }) };
  };
  const negated = (rule) => () => {
    const not = is("!");
    if (not) space();
    const inner = rule();
    return inner && not ? { kind: "logical", run: (...at) => ({ value: !isTrue(inner.run(...at)) }) } : inner;
  };
  const parenthesized = () => {
    if (!is("(")) return undefined;
    space();
    const inner = or(true);
    space();
    return inner && is(")") ? { ...inner, kind: "logical" } : undefined;
  };
  const basic = () => either(negated(parenthesized), comparison, negated(() => either(query(segment), call)));
  const joined = (rule, separator, join) => (tested) => {
    const parts = list(() => rule(tested), separator);
    if (parts === undefined) return undefined;
    const loose = tested && parts.find((part) => part.kind === "function" && !part.logical);
    if (loose) throw refuse(`the result of ${loose.name}() must be compared`);
    return parts.length === 1 ? parts[0] : { kind: "logical", run: (...at) => ({ value: join(parts, (part) => isTrue(part.run(...at))) }) };
  };
  const and = joined(basic, "&&", (parts, test) => parts.every(test));
  const or = joined(and, "||", (parts, test) => parts.some(test));

  if (typeof text !== "string" || !is("$")) throw refuse("it begins with $");
  const segments = many(segment);
  if (at < text.length) throw refuse(`it cannot be read from position ${at} on`);
  return segments;
}

const isDocument = (node) => typeof node?.getByPath === "function";

function childrenOf(node) {
  if (isDocument(node)) return Object.values(node.getShallowValue()).map((id) => node.getContainerById(id));
  if (!isContainer(node)) return isPlainObject(node) ? Object.values(node) : Array.isArray(node) ? node : [];
  if (node.kind() === "Map") return node.values();
  return itemsOf(node) ?? [];
}

/** The items of a list; undefined for everything else. */
function itemsOf(node) {
  if (isContainer(node)) return node.kind() === "List" || node.kind() === "MovableList" ? node.toArray() : undefined;
  return Array.isArray(node) ? node : undefined;
}

function childNamed(node, name) {
  if (isDocument(node)) return node.getByPath(name);
  if (isContainer(node)) return node.kind() === "Map" ? node.get(name) : undefined;
  return isPlainObject(node) && Object.hasOwn(node, name) ? node[name] : undefined;
}

function sliced(items, [start, stop, step = 1]) {
  const length = items.length;
  if (step === 0) return [];
  const within = (at, least) => Math.min(Math.max(at < 0 ? at + length : at, least), length);
  const from = within(start ?? (step > 0 ? 0 : length - 1), 0);
  const to = within(stop ?? (step > 0 ? length : -length - 1), -1);
  const found = [];
  for (let at = from; step > 0 ? at < to : at > to; at += step) if (at < length) found.push(items[at]);
  return found;
}

function select(root, node, selector) {
  if ("name" in selector) return [childNamed(node, selector.name)].filter((child) => child !== undefined);
  if ("index" in selector) return [itemsOf(node)?.at(selector.index)].filter((child) => child !== undefined);
  if ("slice" in selector) return sliced(itemsOf(node) ?? [], selector.slice);
  const children = childrenOf(node);
  return selector.wild ? children : children.filter((child) => isTrue(selector.filter.run(root, child)));
}

/** What segments lead to, beginning at a node. */
function find(root, segments) {
  let nodes = [root];
  for (const { deep, selectors } of segments) {
    const found = [];
    const visit = (node) => {
      for (const selector of selectors) found.push(...select(root, node, selector));
      if (deep) childrenOf(node).forEach(visit);
    };
    nodes.forEach(visit);
    nodes = found;
  }
  // The root stands for its value.
  return segments.length === 0 && isDocument(root) ? [root.toJSON()] : nodes;
}

/** Returns what a path finds, containers as handles. */
export function evaluate(doc, path) {
  return find(doc, parse(path));
}

/** Returns whether an event may have changed what a path finds: now and then when it did not, never the other way. */
export function watcher(path) {
  const steps = parse(path).map(({ deep, selectors }) => ({
    deep,
    any: selectors.some((selector) => !("name" in selector || selector.index >= 0)),
    // The child nobody knows the position of is null.
    fits: (element) =>
      selectors.some((selector) => {
        if ("name" in selector) return element === selector.name;
        return selector.index >= 0 ? element === selector.index || element === null : true;
      }),
  }));
  /** How many steps a path of an event may have taken. */
  const positions = (elements) => {
    let reached = new Set([0]);
    for (const element of elements) {
      const next = new Set();
      for (const position of reached) {
        const step = steps[position];
        if (step === undefined || step.deep) next.add(position);
        if (step?.fits(element)) next.add(position + 1);
      }
      reached = next;
    }
    return [...reached];
  };
  return (event) =>
    event.events.some(({ path: elements, diff }) => {
      const reached = positions(elements);
      if (reached.some((position) => position >= steps.length)) return true;
      if (reached.length === 0 || diff.type === "text") return false;
      if (diff.type !== "map") return positions([...elements, null]).length > 0;
      const open = reached.some((position) => position > 0 && steps[position - 1].any);
      return Object.keys(diff.updated).some((key) => open || positions([...elements, key]).length > 0);
    });
}
