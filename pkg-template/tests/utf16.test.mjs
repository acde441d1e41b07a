// Text positions, by a model that knows nothing of the engine: a text is an array of characters, JavaScript counts in their units.
import assert from "node:assert/strict";
import { test } from "node:test";
import { corella, random } from "./reference/index.mjs";

const { LoroDoc, LoroText, UndoManager } = corella;
const WORDS = ["a", "é", "文", "😀", "🦜", "x😀y", "👩‍👩‍👧", "\n", "𝒳𝒴"];
const KEYS = ["bold", "link"];

const chars = (text) => [...text].map((char) => ({ char, marks: {} }));
const textOf = (model) => model.map(({ char }) => char).join("");
const lengthOf = (model) => textOf(model).length;

/** The index of the character at a UTF-16 position; undefined inside a character. */
function indexAt(model, position) {
  let at = 0;
  for (let index = 0; index <= model.length; index += 1) {
    if (at === position) return index;
    at += model[index]?.char.length;
  }
  return undefined;
}

/** Where the character at a position begins, and ends, if the position is inside it. */
const begin = (model, position) => (indexAt(model, position) === undefined ? position - 1 : position);
const end = (model, position) => (indexAt(model, position) === undefined ? position + 1 : position);

/** Rich text as a list of runs with equal marks. */
function runs(model) {
  const out = [];
  for (const { char, marks } of model) {
    const shown = Object.fromEntries(Object.entries(marks).filter(([, value]) => value !== null).sort());
    const last = out.at(-1);
    if (last !== undefined && JSON.stringify(last.marks) === JSON.stringify(shown)) last.text += char;
    else out.push({ text: char, marks: shown });
  }
  return out;
}

const runsOfDelta = (delta) => runs(delta.flatMap(({ insert, attributes = {} }) => [...insert].map((char) => ({ char, marks: attributes }))));

/** Does what an event says; a position inside a character or beyond the end is an error. */
function follow(model, delta) {
  const out = [];
  let rest = model;
  const take = (units) => {
    const index = indexAt(rest, units);
    assert.notEqual(index, undefined, `a step of ${units} ends inside a character or beyond the end of ${JSON.stringify(textOf(rest))}`);
    const taken = rest.slice(0, index);
    rest = rest.slice(index);
    return taken;
  };
  for (const { retain, delete: removed, insert, attributes = {} } of delta) {
    if (insert !== undefined) out.push(...[...insert].map((char) => ({ char, marks: { ...attributes } })));
    else if (removed !== undefined) take(removed);
    else out.push(...take(retain).map(({ char, marks }) => ({ char, marks: { ...marks, ...attributes } })));
  }
  return [...out, ...rest];
}

/** Follows every text of a document by its events alone. */
class Follower {
  #doc;
  #texts = new Map();

  constructor(doc) {
    this.#doc = doc;
    doc.subscribe(({ events }) => {
      for (const { target, diff } of events) {
        if (diff.type !== "text") continue;
        this.#texts.set(target, follow(this.#texts.get(target) ?? [], diff.diff));
      }
      for (const { diff } of events) this.#forget(diff);
    });
  }

  /** Takes a text as it is now. */
  begin(text, committed) {
    this.#texts.set(text.id, committed);
  }

  check(texts) {
    for (const text of texts) {
      const model = this.#texts.get(text.id) ?? [];
      assert.equal(textOf(model), text.toString());
      assert.deepEqual(runs(model), runsOfDelta(text.toDelta()));
    }
  }

  /** A container that left the document comes back, if ever, with all of its content. */
  #forget() {
    for (const id of this.#texts.keys()) if (this.#doc.getContainerById(id)?.isDeleted() ?? true) this.#texts.delete(id);
  }
}

/** Reads a text in every way there is and compares with what it should be. */
function checkReads(text, pick) {
  const whole = text.toString();
  const model = chars(whole);
  assert.equal(text.length, whole.length);
  assert.equal(text.toJSON(), whole);
  for (let round = 0; round < 3; round += 1) {
    const [from, to] = [pick(whole.length + 1), pick(whole.length + 1)].sort((a, b) => a - b);
    const [first, last] = [indexAt(model, from), indexAt(model, to)];
    // Reading takes the whole character a position is in.
    assert.equal(text.slice(from, to), whole.slice(begin(model, from), begin(model, to)));
    if (from < whole.length) assert.equal(text.charAt(from), String.fromCodePoint(whole.codePointAt(begin(model, from))));
    if (first === undefined || last === undefined) {
      if (from !== to) assert.throws(() => text.sliceDelta(from, to));
      assert.equal(text.getEditorOf(first === undefined ? from : to), undefined);
      continue;
    }
    assert.equal(textOf(chars(text.sliceDelta(from, to).map(({ insert }) => insert).join(""))), whole.slice(from, to));
    assert.equal(text.convertPos(from, "utf16", "unicode"), first);
    assert.equal(text.convertPos(first, "unicode", "utf16"), from);
    assert.equal(text.convertPos(from, "utf16", "utf8"), Buffer.byteLength(whole.slice(0, from)));
  }
}


/** One local edit at UTF-16 positions, done to the text and, by itself, to the array of its characters. */
function edit(text, pick, style) {
  const model = chars(text.toString());
  const length = lengthOf(model);
  const at = pick(length + 1);
  const size = pick(Math.min(6, length - at + 1));
  const word = WORDS[pick(WORDS.length)];
  const index = indexAt(model, at);
  const last = indexAt(model, at + size);
  const whole = text.toString();
  const marked = text.toDelta();
  const refused = (call) => {
    assert.throws(call);
    assert.equal(text.toString(), whole);
    assert.deepEqual(text.toDelta(), marked);
  };
  const expect = (removed, inserted) => assert.equal(text.toString(), whole.slice(0, at) + inserted + whole.slice(at + removed));
  switch (pick(8)) {
    case 0:
    case 1:
      if (index === undefined) return refused(() => text.insert(at, word));
      text.insert(at, word);
      return expect(0, word);
    case 2:
      if (size === 0) return void text.delete(at, 0);
      if (index === undefined || last === undefined) return refused(() => text.delete(at, size));
      text.delete(at, size);
      return expect(size, "");
    case 3:
      if (index === undefined || last === undefined) return refused(() => text.splice(at, size, word));
      assert.equal(text.splice(at, size, word), whole.slice(at, at + size));
      return expect(size, word);
    case 4: {
      const delta = [{ retain: at }, { delete: size }, { insert: word, attributes: { [KEYS[pick(2)]]: pick(5) } }].filter((step) => step.retain !== 0 && step.delete !== 0);
      if (index === undefined || last === undefined) return refused(() => text.applyDelta(delta));
      text.applyDelta(delta);
      return expect(size, word);
    }
    case 5:
      text.update(whole.replaceAll("a", word).slice(0, 60).toWellFormed?.() ?? whole);
      return undefined;
    default: {
      if (!style || size === 0) return undefined;
      const key = KEYS[pick(2)];
      const value = [true, "v", 1, null][pick(4)];
      const [first, behind] = [indexAt(model, end(model, at)), indexAt(model, end(model, at + size))];
      if (value === null) text.unmark({ start: at, end: at + size }, key);
      else text.mark({ start: at, end: at + size }, key, value);
      assert.equal(text.toString(), whole);
      const [before, after] = [marked, text.toDelta()].map((delta) => delta.flatMap(({ insert, attributes }) => [...insert].map((char) => ({ char, marks: attributes ?? {} }))));
      const expected = before.map(({ char, marks }, i) => ({ char, marks: i >= first && i < behind ? { ...marks, [key]: value } : marks }));
      return assert.deepEqual(runs(after), runs(expected));
    }
  }
}

const SEEDS = Number(process.env.SEEDS ?? 15);

function configured(peer, expand) {
  const doc = new LoroDoc();
  doc.setPeerId(peer);
  doc.configTextStyle(Object.fromEntries(KEYS.map((key) => [key, { expand }])));
  return doc;
}

test("edits, reads and events of two writers count in UTF-16, on plain and rich and nested texts", () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const pick = random(seed);
    const docs = [1, 2].map((peer) => configured(peer, ["after", "none", "both", "before"][seed % 4]));
    const followers = docs.map((doc) => new Follower(doc));
    const versions = [];
    for (let step = 0; step < 60; step += 1) {
      const i = pick(2);
      const doc = docs[i];
      const nested = doc.getList("l");
      const roots = [doc.getText("plain"), doc.getText("rich")];
      const texts = () => [...roots, ...nested.toArray().filter((item) => corella.isContainer(item))];
      switch (pick(9)) {
        case 0: doc.import(docs[1 - i].export({ mode: "update", from: doc.version() })); break;
        case 1: {
          const child = new LoroText();
          child.insert(0, WORDS[pick(WORDS.length)]);
          nested.insertContainer(pick(nested.length + 1), child);
          break;
        }
        case 2: if (nested.length > 0) nested.delete(pick(nested.length), 1); break;
        case 3: {
          doc.commit();
          versions.push([i, doc.frontiers()]);
          const [, frontiers] = versions.filter(([who]) => who === i)[0];
          doc.checkout(frontiers);
          followers[i].check(texts());
          doc.checkoutToLatest();
          break;
        }
        case 4: {
          const earlier = versions.filter(([who]) => who === i);
          if (earlier.length > 0 && pick(3) === 0) doc.revertTo(earlier[pick(earlier.length)][1]);
          break;
        }
        default: {
          const all = texts();
          const text = all[pick(all.length)];
          edit(text, pick, text.id !== roots[0].id);
          checkReads(text, pick);
        }
      }
      if (pick(3) === 0) {
        doc.commit();
        followers[i].check(texts());
      }
    }
    for (const doc of [...docs, docs[0]]) for (const other of docs) if (other !== doc) doc.import(other.export({ mode: "update" }));
    assert.deepEqual(docs[0].toJSON(), docs[1].toJSON());
    docs.forEach((doc, i) => followers[i].check([doc.getText("plain"), doc.getText("rich")]));
  }
});

test("who begins to listen in the middle of a commit hears of it in UTF-16", () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const pick = random(1000 + seed);
    const base = configured(9, "after");
    for (let i = 0; i < 8; i += 1) edit(base.getText("t"), pick, true);
    base.getList("l").insertContainer(0, new LoroText()).insert(0, "😀 nested");
    const doc = configured(1, "after");
    if (pick(2) === 0) doc.import(base.export({ mode: "snapshot" }));
    else doc.import(base.export({ mode: "update" }));
    const version = doc.frontiers();
    const texts = () => [doc.getText("t"), ...doc.getList("l").toArray()];
    const now = () => texts().map((text) => [text, text.toDelta().flatMap(({ insert, attributes }) => [...insert].map((char) => ({ char, marks: attributes ?? {} })))]);
    let committed = now();
    for (let i = 0; i < 1 + pick(4); i += 1) edit(texts()[pick(2)], pick, true);
    if (pick(3) === 0) {
      const child = new LoroText();
      child.insert(0, "🦜 new");
      doc.getList("l").pushContainer(child);
    }
    if (pick(4) === 0) {
      // Commits, and leaves the edits it makes itself pending.
      committed = now();
      doc.revertTo(version);
    }
    const follower = new Follower(doc);
    for (const [text, model] of committed) follower.begin(text, model);
    for (let i = 0; i < 3; i += 1) {
      doc.commit();
      follower.check(texts());
      edit(texts()[pick(2)], pick, true);
    }
  }
});

test("a cursor stays with its character, counted in UTF-16, through others' edits", () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const pick = random(2000 + seed);
    const [mine, other] = [configured(1, "after"), configured(2, "after")];
    const text = mine.getText("t");
    text.insert(0, "a😀b🦜c文𝒳");
    other.import(mine.export({ mode: "snapshot" }));
    // The same edits on an array of characters with an identity each.
    let model = chars(text.toString());
    const held = model.map((char, index) => {
      const position = lengthOf(model.slice(0, index));
      return { char, cursor: text.getCursor(position, [-1, 0, 1][pick(3)]) };
    });
    const between = text.getCursor(2);
    assert.equal(between === undefined ? 1 : mine.getCursorPos(between).offset, 1, "inside a character there is no position");
    for (let step = 0; step < 12; step += 1) {
      const index = pick(model.length + 1);
      const at = lengthOf(model.slice(0, index));
      const doc = pick(2) === 0 ? mine : other;
      const [from, to] = [mine, other].map((one) => one);
      if (pick(3) > 0) {
        const word = WORDS[pick(WORDS.length)];
        doc.getText("t").insert(at, word);
        model = [...model.slice(0, index), ...chars(word), ...model.slice(index)];
      } else if (index < model.length) {
        doc.getText("t").delete(at, model[index].char.length);
        model = [...model.slice(0, index), ...model.slice(index + 1)];
      }
      to.import(from.export({ mode: "update", from: to.version() }));
      from.import(to.export({ mode: "update", from: from.version() }));
      assert.equal(text.toString(), textOf(model));
      for (const { char, cursor } of held) {
        const index = model.indexOf(char);
        const found = mine.getCursorPos(cursor);
        if (index >= 0) assert.equal(found.offset, lengthOf(model.slice(0, index)), `${char.char} in ${textOf(model)}`);
        // Of a character that is gone the place where it was.
        else assert.notEqual(indexAt(model, found.offset), undefined);
      }
    }
  }
});

test("undo takes back what was typed, with cursors in UTF-16, whatever others typed meanwhile", () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const pick = random(3000 + seed);
    const [mine, other] = [configured(1, "after"), configured(2, "after")];
    const text = mine.getText("t");
    const follower = new Follower(mine);
    const restored = [];
    const undo = new UndoManager(mine, {
      mergeInterval: 0,
      onPush: () => {
        const whole = chars(text.toString());
        const position = lengthOf(whole.slice(0, pick(whole.length + 1)));
        const cursor = text.getCursor(position);
        return { value: null, cursors: cursor === undefined ? [] : [cursor] };
      },
      onPop: (isUndo, { cursors }) => restored.push(...cursors.map((cursor) => mine.getCursorPos(cursor).offset)),
    });
    // Others write in front and behind only, so that what undo must restore stays known.
    let [head, tail] = ["", ""];
    const states = [""];
    for (let step = 0; step < 10; step += 1) {
      const own = chars(states.at(-1));
      const index = pick(own.length + 1);
      const word = WORDS[pick(WORDS.length)];
      const offset = head.length + lengthOf(own.slice(0, index));
      if (pick(3) > 0 || own.length === 0) {
        text.insert(offset, word);
        states.push(textOf([...own.slice(0, index), ...chars(word), ...own.slice(index)]));
      } else if (index < own.length) {
        text.delete(offset, own[index].char.length);
        states.push(textOf([...own.slice(0, index), ...own.slice(index + 1)]));
      }
      mine.commit();
      if (states.at(-1) !== "" && pick(2) === 0) {
        other.import(mine.export({ mode: "update", from: other.version() }));
        const theirs = other.getText("t");
        if (pick(2) === 0) {
          theirs.insert(0, "😀");
          head = `😀${head}`;
        } else {
          theirs.insert(theirs.length, "𝒴");
          tail += "𝒴";
        }
        mine.import(other.export({ mode: "update", from: mine.version() }));
      }
      assert.equal(text.toString(), head + states.at(-1) + tail);
    }
    follower.check([text]);
    // Typed at the very edge of others' text, where which side a character belongs to is the engine's to say, sets may differ in order.
    const sorted = (value) => [...value].sort().join("");
    for (let at = states.length - 2; at >= 0; at -= 1) {
      assert.equal(undo.undo(), true);
      follower.check([text]);
      assert.equal(sorted(text.toString()), sorted(head + states[at] + tail));
    }
    for (let at = 1; at < states.length; at += 1) {
      assert.equal(undo.redo(), true);
      follower.check([text]);
      assert.equal(sorted(text.toString()), sorted(head + states[at] + tail));
    }
    assert.ok(restored.every((offset) => Number.isInteger(offset) && offset >= 0));
  }
});

test("a diff between two versions counts in UTF-16", () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const pick = random(4000 + seed);
    const doc = configured(1, "none");
    const text = doc.getText("t");
    const versions = [];
    for (let step = 0; step < 12; step += 1) {
      edit(text, pick, true);
      doc.commit();
      versions.push({ at: doc.frontiers(), delta: text.toDelta() });
    }
    for (let round = 0; round < 6; round += 1) {
      const [a, b] = [versions[pick(versions.length)], versions[pick(versions.length)]];
      const start = a.delta.flatMap(({ insert, attributes }) => [...insert].map((char) => ({ char, marks: attributes ?? {} })));
      const found = doc.diff(a.at, b.at).find(([id]) => id === text.id);
      assert.deepEqual(runs(follow(start, found?.[1].diff ?? [])), runsOfDelta(b.delta));
    }
  }
});
