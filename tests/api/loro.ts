// Programs written for loro-crdt, as bindings and typed layers write them. They must compile against corella/loro.
import {
  Awareness,
  type Change,
  type Container,
  type ContainerID,
  type ContainerType,
  Cursor,
  type CounterDiff,
  type Delta,
  type Diff,
  EphemeralStore,
  type EphemeralStoreEvent,
  type ExportMode,
  type Frontiers,
  type ImportStatus,
  type JsonSchema,
  Loro,
  LoroCounter,
  LoroDoc,
  type LoroEvent,
  type LoroEventBatch,
  LoroList,
  LoroMap,
  LoroMovableList,
  LoroText,
  LoroTree,
  LoroTreeNode,
  type MapDiff,
  type OpId,
  type Path,
  type PeerID,
  type Side,
  type Subscription,
  type TreeDiffItem,
  type TreeID,
  UndoManager,
  type Value,
  VersionVector,
  decodeImportBlobMeta,
  getType,
  idStrToId,
  isContainer,
  isContainerId,
  newContainerID,
  newRootContainerID,
} from "loro-crdt";
import init, * as web from "loro-crdt/web";
import * as base64 from "loro-crdt/base64";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Compiles only where both types are the same, `any` being the same only as itself. */
function same<A, B>(..._: Equal<A, B> extends true ? [] : [never]): void {}

// ---- a document with a schema ----

type Todo = LoroMap<{ title: LoroText; done: boolean; tags: LoroList<string> }>;
type Schema = {
  todos: LoroMovableList<Todo>;
  settings: LoroMap<{ theme: "light" | "dark"; author?: LoroMap<{ name: string }> }>;
  outline: LoroTree<{ label: string }>;
  log: LoroList<number | LoroText>;
};

export function schema(doc: LoroDoc<Schema>): void {
  const todos = doc.getMovableList("todos");
  same<typeof todos, LoroMovableList<Todo>>();
  const first = todos.get(0);
  same<typeof first, Todo>();
  same<ReturnType<typeof first.kind>, "Map">();
  const title = first.get("title");
  same<typeof title, LoroText>();
  first.set("done", true);
  // @ts-expect-error: not a boolean
  first.set("done", "yes");
  // @ts-expect-error: containers go by setContainer
  first.set("title", new LoroText());
  same<ReturnType<typeof doc.getMap<"settings">>, Schema["settings"]>();
  const settings = doc.getMap("settings");
  const theme: "light" | "dark" = settings.get("theme");
  // @ts-expect-error: no such theme
  settings.set("theme", "blue");
  const author = settings.setContainer("author", new LoroMap<{ name: string }>());
  author.set("name", theme);
  const node = doc.getTree("outline").createNode();
  same<typeof node, LoroTreeNode<{ label: string }>>();
  const label: string = node.data.get("label");
  const parent: LoroTreeNode<{ label: string }> | undefined = node.parent();
  const nodes: LoroTreeNode<{ label: string }>[] = doc.getTree("outline").roots();
  const entry = doc.getList("log").get(0);
  same<typeof entry, number | LoroText>();
  const forked: LoroDoc = doc.fork();
  console.log(label, parent?.id, nodes.length, forked.toJSON().settings.theme, title.toDelta().length);
}

// ---- a binding to an editor ----

export class TextBinding {
  private readonly stop: Subscription;

  constructor(
    private readonly doc: LoroDoc,
    private readonly path: string[],
    apply: (delta: Delta<string>[]) => void,
  ) {
    this.stop = doc.subscribe(this.changed(apply));
  }

  private changed = (apply: (delta: Delta<string>[]) => void) => ({ by, origin, events, currentTarget }: LoroEventBatch): void => {
    if (by === "local" || origin === "undo" || currentTarget !== undefined) return;
    for (const { diff, path, target } of events) {
      if (diff.type !== "text" || path.join("/") !== this.path.join("/") || target !== this.text.id) continue;
      apply(diff.diff);
      let at = 0;
      for (const delta of diff.diff) {
        if (delta.insert) at += delta.insert.length;
        else if (delta.delete != null) at -= delta.delete;
        else if (delta.retain != null) at += delta.retain;
      }
      console.log(at, diff.diff[0]?.attributes?.bold);
    }
  };

  get text(): LoroText {
    return this.doc.getByPath(this.path.join("/")) as LoroText;
  }

  select(anchor: number, side: Side = 0): Uint8Array | undefined {
    return this.text.getCursor(anchor, side)?.encode();
  }

  restore(bytes: Uint8Array): number {
    const cursor: Cursor = Cursor.decode(bytes);
    const at = this.doc.getCursorPos(cursor);
    if (at === undefined) return 0;
    const { update, offset } = at;
    return (update ?? cursor).pos()?.counter ?? offset;
  }

  undo(): UndoManager {
    const stack = new UndoManager(this.doc, { mergeInterval: 500, maxUndoSteps: 100, excludeOriginPrefixes: ["remote"] });
    stack.setOnPush((isUndo, range, event) => {
      const cursors: Cursor[] = [];
      const cursor = event?.by === "local" ? this.text.getCursor(range.start) : undefined;
      if (cursor) cursors.push(cursor);
      return { value: { isUndo }, cursors };
    });
    stack.setOnPop((_isUndo, { value, cursors }, _range) => console.log((value as { isUndo: boolean }).isUndo, cursors.length));
    stack.setOnPush(undefined);
    return stack;
  }

  dispose = (): void => this.stop();
}

// ---- presence ----

type Cursors = { [peer: string]: { anchor: Uint8Array; user: { name: string; color: string } | null } };

export class Presence extends EphemeralStore<Cursors> {
  announce<K extends keyof Cursors>(peer: K, state: Cursors[K]): void {
    this.set(peer, state);
    this.inner.set("raw", { any: "value" });
  }
}

export function presence(store: EphemeralStore<Cursors>, doc: LoroDoc): () => void {
  const awareness = new Awareness<{ anchor: Uint8Array | null }>(doc.peerIdStr);
  awareness.setLocalState({ anchor: null });
  awareness.addListener(({ added, updated, removed }, origin) => {
    for (const peer of added.concat(updated, removed)) console.log(awareness.getAllStates()[peer]?.anchor, origin);
  });
  store.subscribeLocalUpdates((bytes) => awareness.apply(bytes, "remote"));
  const all: Partial<Cursors> = store.getAllStates();
  console.log(store.get(doc.peerIdStr)?.user?.name, Object.keys(all), store.encodeAll().byteLength);
  return store.subscribe((event: EphemeralStoreEvent) => {
    const removed: string[] = event.by === "timeout" ? event.removed : [];
    console.log(removed);
  });
}

// ---- a mirror of the state ----

export function applied(state: Record<string, unknown>, event: LoroEvent): number | undefined {
  const path: Path = event.path;
  const { diff } = event;
  switch (diff.type) {
    case "map": {
      for (const [key, value] of Object.entries((diff as MapDiff).updated)) {
        state[key] = value === undefined ? undefined : isContainer(value) ? value.toJSON() : value;
      }
      return path.length;
    }
    case "list":
      return diff.diff.reduce((length, step) => length + (step.insert?.length ?? -(step.delete ?? 0)), 0);
    case "text":
      return diff.diff.length;
    case "tree":
      return diff.diff.map((item: TreeDiffItem) => (item.action === "delete" ? item.oldIndex : item.index)).length;
    case "counter":
      return (diff satisfies CounterDiff).increment;
    default:
      return diff satisfies never;
  }
}

export function kinds(value: Value | Container): string {
  if (!isContainer(value)) return typeof value === "string" && isContainerId(value) ? (value satisfies ContainerID) : "Json";
  const kind: ContainerType = value.kind();
  const id: ContainerID = value.id;
  const up: Container | undefined = value.parent();
  if (value.kind() === "Text") console.log((value as LoroText).toDelta());
  if (value instanceof LoroTree) return value.getNodes({ withDeleted: false }).map((node) => node.fractionalIndex() ?? "").join();
  if (value instanceof LoroCounter) value.increment(1);
  return `${kind} ${id} ${up?.id}`;
}

function ensured<C extends Container>(map: LoroMap, key: string, make: new () => C): C {
  return (map.get(key) as C | undefined) ?? map.setContainer(key, new make());
}

export function nested(doc: LoroDoc): Value {
  const root = doc.getMap("root");
  const list = ensured(root, "list", LoroList);
  const rich = list.insertContainer(0, new LoroText());
  const movable = root.getOrCreateContainer("movable", new LoroMovableList<string>());
  movable.push("a");
  movable.set(0, "b");
  movable.move(0, 0);
  same<ReturnType<typeof root.ensureMergeableTree>, LoroTree>();
  rich.mark({ start: 0, end: 0 }, "comment", { by: { name: "Ada" } as object });
  rich.applyDelta([{ insert: "a", attributes: { bold: true } }, { retain: 1 }]);
  for (const [key, value] of root.entries()) console.log(key, kinds(value));
  const by: Record<string, ContainerID> = doc.getShallowValue();
  return doc.getDeepValueWithID()[Object.keys(by)[0]].value;
}

// ---- history, versions, diffs ----

export function history(doc: LoroDoc, other: LoroDoc): [ContainerID, Diff][] {
  const from: Frontiers = doc.frontiers();
  const status: ImportStatus = doc.import(other.export({ mode: "update", from: doc.version() }));
  for (const [peer, { start, end }] of status.success) console.log(peer satisfies PeerID, end - start, status.pending?.size ?? 0);
  const modes: ExportMode[] = [
    { mode: "snapshot" },
    { mode: "shallow-snapshot", frontiers: from },
    { mode: "updates-in-range", spans: [{ id: from[0] as OpId, len: 1 }] },
  ];
  doc.importBatch(modes.map((mode) => other.export(mode)));
  const changes: Map<PeerID, Change[]> = doc.getAllChanges();
  for (const [peer, list] of changes) {
    for (const { counter, lamport, deps, timestamp, message, length } of list) console.log(peer, counter + length, lamport, deps, new Date(timestamp * 1000), message ?? "");
  }
  doc.travelChangeAncestors(from, (change) => change.lamport > 10);
  const order: number | undefined = doc.cmpFrontiers(from, doc.frontiers());
  const version = new VersionVector(new Map<PeerID, number>([["1", 3]]));
  const compared: number | undefined = version.compare(VersionVector.decode(doc.oplogVersion().encode()));
  const json: JsonSchema = doc.exportJsonUpdates(version, undefined);
  for (const change of json.changes) {
    for (const op of change.ops) if (op.content.type === "insert" && "text" in op.content) console.log(op.content.text, op.container);
  }
  console.log(json.peers.length, order, compared, decodeImportBlobMeta(new Uint8Array(), true).changeNum);
  doc.checkout(from);
  doc.checkoutToLatest();
  const forJson = doc.diff(from, doc.frontiers());
  doc.applyDiff(forJson);
  same<ReturnType<typeof doc.version>, VersionVector>();
  return doc.diff(from, doc.frontiers(), false);
}

export function ids(node: LoroTreeNode): [TreeID, OpId, ContainerID, ContainerID] {
  const id = idStrToId("3@1");
  return [node.id, id, newContainerID(id, "Map"), newRootContainerID("r", "Text")];
}

export function types(text: LoroText, map: LoroMap<{ a: number }>, movable: LoroMovableList<string>): void {
  const [a, b, c, d] = [getType(text), getType(map), getType(movable), getType(3)];
  same<typeof a, "Text">();
  same<typeof b, "Map">();
  same<typeof d, "Json">();
  console.log(c);
}

// ---- every entry ----

export async function entries(bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
  await init();
  await init({ module_or_path: fetch("/loro.wasm") });
  web.initSync({ module: bytes });
  const doc: LoroDoc = new web.LoroDoc();
  const old: LoroDoc = new Loro();
  doc.setPeerId(1n);
  doc.subscribePreCommit(({ changeMeta, modifier }) => void modifier.setMessage(changeMeta.peer).setTimestamp(0));
  const text: web.LoroText = new base64.LoroDoc().getText("t");
  return doc.peerIdStr === old.peerIdStr && text instanceof LoroText;
}
