// The core build: everything that stays works, and what is left out is not there at all.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "../../tools/node_modules/typescript/lib/typescript.js";
import { until } from "../../pkg-template/tests/joining.mjs";
import * as full from "../../pkg/index.js";
import * as core from "../../pkg-core/index.js";

const CLASSES = ["LoroDoc", "LoroText", "LoroMap", "LoroList", "LoroMovableList", "LoroTree", "LoroTreeNode", "LoroCounter", "VersionVector", "AwarenessWasm", "UndoManager", "Cursor", "ChangeModifier", "Repo", "DocHandle"];

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

test("what is left out is what the package's documentation and types say", () => {
  const documented = readFileSync(new URL("../../pkg-template/README.md", import.meta.url), "utf8").split("## A smaller build")[1].split("\n## ")[0];
  const leftOut = JSON.parse(readFileSync(new URL("../../pkg-template/core/left-out.json", import.meta.url), "utf8"));
  const members = (build, name) => Object.getOwnPropertyNames(build[name].prototype).filter((member) => !member.startsWith("__"));
  for (const name of CLASSES) {
    const missing = members(full, name).filter((member) => !(member in core[name].prototype));
    const handle = "toContainerTree" in full[name].prototype && name !== "LoroDoc" ? leftOut.members.ContainerHandle : [];
    assert.deepEqual(missing.sort(), [...(leftOut.members[name] ?? []), ...handle].sort(), name);
    for (const member of missing) {
      const named = member.startsWith("toContainerTree") ? "toContainerTree…" : member;
      assert.ok(documented.includes(`\`${named}`), `${name}.${member}`);
    }
  }
  const exported = Object.keys(full).filter((name) => !(name in core));
  for (const name of exported) {
    assert.ok(leftOut.exports.includes(name), name);
    assert.ok(documented.includes(`\`${name}`), name);
  }
  for (const name of leftOut.exports) assert.ok(!(name in core), name);
});

test("its types say what is left out, and what is there", () => {
  const path = (name) => fileURLToPath(new URL(name, import.meta.url));
  const options = {
    strict: true,
    noEmit: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.esnext.disposable.d.ts"],
    types: [],
  };
  const program = ts.createProgram([path("usage.ts"), path("../../pkg-core/index.d.ts"), path("../../pkg-core/loro.d.ts")], options);
  const problems = ts.getPreEmitDiagnostics(program);
  assert.deepEqual(problems.map(({ file, start, messageText }) => `${file?.fileName}:${start}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`), []);
});

test("a repo without records is an ordinary peer of one that has them", async (t) => {
  const url = "ws://core.test/records";
  const hub = await full.Repo.open({ identity: { name: "hub", type: "service" }, role: "relay", adapters: [new full.WebSocketAdapter({ url })] });
  const leaf = await core.Repo.open({ adapters: [new core.WebSocketAdapter({ url })] });
  t.after(() => Promise.all([leaf.close(), hub.close()]));
  const wrong = [];
  for (const repo of [hub, leaf]) for (const event of ["error", "refused"]) repo.on(event, (told) => wrong.push(told));
  await until("they know each other", () => leaf.peers.length === 1 && hub.peers.length === 1);
  const facts = hub.collection("facts", { kind: "shared" });
  await facts.put("a", 1);
  await hub.catalogue.set("d", { title: "D" });
  leaf.get("d").change((doc) => doc.getText("t").insert(0, "from the leaf"));
  await leaf.get("d").waitForSync();
  await until("it came", () => hub.get("d").doc.getText("t").toString() === "from the leaf");
  hub.get("d").change((doc) => doc.getText("t").insert(0, "and "));
  await until("it came back", () => leaf.get("d").doc.getText("t").toString() === "and from the leaf");
  await facts.put("a", 2);
  assert.equal(await facts.get("a"), 2);
  const received = () => leaf.peers[0].channels[0].stats.messagesIn;
  const before = received();
  for (let at = 0; at < 50; at += 1) await facts.put(`k${at}`, at);
  hub.get("d").change((doc) => doc.getText("t").insert(0, "at last "));
  await until("the last came", () => leaf.get("d").doc.getText("t").toString().startsWith("at last"));
  assert.ok(received() - before < 25, `${received() - before} messages for one edit`);
  assert.deepEqual(wrong, []);
  assert.equal(leaf.unsynced, 0);
  assert.deepEqual(leaf.storageHealth.damagedRecords, []);
  await leaf.flush();
});
