// The core build: everything that stays works, and what is left out is not there at all.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import * as full from "../../pkg/index.js";
import * as core from "../../pkg-core/index.js";

const CLASSES = ["LoroDoc", "LoroText", "LoroMap", "LoroList", "LoroMovableList", "LoroTree", "LoroTreeNode", "LoroCounter", "VersionVector", "AwarenessWasm", "UndoManager", "Cursor", "ChangeModifier"];

test("documents, repos and presence work", async () => {
  const { LoroDoc, LoroList, Repo, Awareness, UndoManager } = core;
  const doc = new LoroDoc();
  const undo = new UndoManager(doc, {});
  doc.getText("t").insert(0, "a🐦");
  doc.getMap("m").setContainer("l", new LoroList()).push(1);
  doc.getMap("m").ensureMergeableText("e").insert(0, "e");
  doc.commit();
  const other = LoroDoc.fromSnapshot(doc.export({ mode: "snapshot" }));
  assert.deepEqual(other.toJSON(), { t: "a🐦", m: { l: [1], e: "e" } });
  assert.deepEqual(other.getList("n").getAttached()?.toJSON(), []);
  assert.equal(doc.diff([], doc.frontiers()).length > 0, true);
  assert.equal(undo.undo(), true);
  const awareness = new Awareness(doc.peerIdStr);
  awareness.setLocalState({ at: 1 });
  awareness.destroy();
  const repo = await Repo.open();
  repo.get("d").change((changed) => changed.getList("l").insert(0, "x"));
  assert.deepEqual(repo.get("d").doc.getList("l").getRangeValue(0, 1), ["x"]);
  await repo.close();
});

test("what is left out is what the package's documentation names", () => {
  const documented = readFileSync(new URL("../../pkg-template/README.md", import.meta.url), "utf8").split("## A smaller build")[1].split("\n## ")[0];
  const missing = CLASSES.flatMap((name) => {
    const members = Object.getOwnPropertyNames(full[name].prototype).filter((member) => !(member in core[name].prototype));
    return members.filter((member) => !member.startsWith("__"));
  });
  const functions = Object.keys(full).filter((name) => !(name in core));
  for (const name of [...missing, ...functions]) {
    const named = name.startsWith("toContainerTree") ? "toContainerTree…" : name;
    assert.ok(documented.includes(`\`${named}`), name);
  }
  for (const name of ["exportJsonUpdates", "importJsonUpdates", "JSONPath", "toContainerTree", "getIdAt", "redactJsonUpdates"]) {
    assert.ok([...missing, ...functions].includes(name), name);
  }
});
