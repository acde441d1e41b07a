// What code written for loro-crdt relies on beyond names and types.
import assert from "node:assert/strict";
import { test } from "node:test";
import { corella } from "./reference/index.mjs";

test("a wrong root name is refused in the words code looks for", () => {
  const doc = new corella.LoroDoc();
  for (const name of ["a/b", "a\0b", ""]) {
    for (const kind of ["Text", "Map", "List", "MovableList", "Tree", "Counter"]) {
      assert.throws(() => doc[`get${kind}`](name), /^RepoError: Invalid root container name/);
    }
  }
});
