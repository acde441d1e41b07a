// A program for the core package: what it has, and what its types say is not there.
import init, { IndexedDBAdapter, LoroDoc, LoroList, Repo, VersionVector, type DocHandle, type LoroText, type RepoOptions } from "../../pkg-core/index.js";
// @ts-expect-error the core build has no collections
import { Collection } from "../../pkg-core/index.js";
// @ts-expect-error … and no catalogue
import { Catalogue } from "../../pkg-core/index.js";
// @ts-expect-error … and no JSON updates
import { redactJsonUpdates } from "../../pkg-core/loro.js";

await init();
const options: RepoOptions = { identity: { name: "Ada" }, adapters: [new IndexedDBAdapter()], history: { keep: "all" } };
const repo: Repo = await Repo.open(options);
const handle: DocHandle = repo.get("d");
handle.change((doc) => doc.getText("t").insert(0, "x"));
const text: LoroText = handle.doc.getText("t");
const length: number = text.length;
const items: LoroList = new LoroDoc().getList("l");
const version: VersionVector = handle.doc.version();
await handle.waitForSync({ timeout: length });

// @ts-expect-error
repo.collection("facts", { kind: "shared" });
// @ts-expect-error
repo.catalogue.list();
// @ts-expect-error
repo.export();
// @ts-expect-error
repo.import(new Uint8Array());
// @ts-expect-error
repo.importLoroExtended();
// @ts-expect-error
const clocks: RepoOptions = { records: { drift: 1 } };
// @ts-expect-error
handle.doc.exportJsonUpdates();
// @ts-expect-error
handle.doc.JSONPath("$");
// @ts-expect-error
handle.doc.toContainerTree();
// @ts-expect-error
text.toContainerTree();
// @ts-expect-error
text.convertPos(0, "utf16", "utf8");
// @ts-expect-error
items.getIdAt(0);
// @ts-expect-error
version.setEnd({ peer: "1", counter: 1 });
