// Programs that must compile against the package's types.
import init, {
  BroadcastChannelAdapter,
  type Durability,
  EphemeralStore,
  IndexedDBAdapter,
  LoroCounter,
  LoroDoc,
  LoroMap,
  LoroText,
  LoroTree,
  RateLimiter,
  Repo,
  RepoError,
  UndoManager,
  WebSocketAdapter,
  getType,
} from "../../pkg-template/index.js";

export async function notebook(): Promise<string> {
  const repo = await Repo.open({
    identity: { name: "Ada", type: "user" },
    adapters: [new IndexedDBAdapter(), new BroadcastChannelAdapter(), new WebSocketAdapter({ url: async () => "ws://localhost/ws" })],
    permissions: { visibility: (doc, peer) => peer.kind !== "network" || !doc.id.startsWith("private/") },
  });
  const handle = repo.get("notes");
  const stop = handle.subscribe((event) => {
    for (const change of event.events) {
      if (change.diff.type === "text") {
        for (const step of change.diff.diff) {
          if (step.insert !== undefined) console.log(step.insert.length);
        }
      }
    }
  });
  const length: number = handle.change((doc) => {
    doc.getText("text").insert(0, "hello");
    return doc.getText("text").length;
  });
  const presence = handle.ephemeral<{ [peer: string]: { at: number } }>("cursors");
  presence.setSelf({ at: length });
  await handle.waitForSync({ kind: "storage", timeout: 1000, signal: new AbortController().signal });
  repo.on("storage-health", (event) => console.log(event.ok, event.error?.code));
  stop();
  return repo.list().map((info) => info.docId).join();
}

export async function safe(): Promise<Durability> {
  const names = new Set(["Ada"]);
  const repo = await Repo.open({
    role: "relay",
    tombstones: { keep: 30 * 24 * 3600 * 1000, max: 1000 },
    records: { drift: 60_000, lapse: 7 * 24 * 3600 * 1000 },
    permissions: {
      mutability: (_doc, peer) => names.has(peer.name ?? ""),
      deletion: (doc, peer) => doc.creator?.name !== undefined && doc.creator.name === peer.name,
    },
  });
  repo.on("refused", ({ docId, peerId, reason, retryMs }) => {
    if (reason === "rate-limited") console.log(docId, peerId, retryMs / 1000);
    // @ts-expect-error: no such reason
    if (reason === "unknown") console.log(docId);
  });
  repo.on("unsynced-changed", ({ docId, unsynced }) => console.log(docId, unsynced.toFixed()));
  const handle = repo.create("notes", { replace: true });
  await handle.whenDurable("hub-disk", { timeout: 1000, signal: new AbortController().signal });
  // @ts-expect-error: no such level
  await handle.whenDurable("cloud");
  names.add("Grace");
  repo.permissionsChanged();
  const left: number = repo.unsynced - handle.unsynced;
  console.log(left);
  try {
    repo.create("notes");
  } catch (error) {
    if (error instanceof RepoError && (error.code === "exists" || error.code === "deleted")) await repo.forget("notes");
  }
  return handle.durability;
}

export async function relay(): Promise<void> {
  await Repo.open({ admission: ({ bytes }) => bytes < 1000 });
  await Repo.open({ admission: new RateLimiter({ messagesPerSecond: 10, kinds: ["update", "give"] }) });
  const repo = await Repo.open({
    role: "relay",
    admission: [
      new RateLimiter({ bytesPerSecond: 1e6, byteBurst: 1e7 }),
      async ({ kind, docId, peer }) => {
        if (peer.kind === "tabs") return true;
        await Promise.resolve();
        return kind === "delete-request" && docId === "pinned" ? { reason: "deletion", retryMs: 1000 } : true;
      },
    ],
  });
  // @ts-expect-error: no such kind
  new RateLimiter({ messagesPerSecond: 1, kinds: ["nonsense"] });
  // @ts-expect-error: no such reason
  await Repo.open({ admission: () => ({ reason: "because" }) });
  await repo.close();
}

export async function bare(): Promise<void> {
  await init();
  const doc = new LoroDoc<{ items: LoroText }>();
  const update: Uint8Array = doc.export({ mode: "update", from: doc.version() });
  doc.import(update);
  const store = new EphemeralStore<{ name: string }>(1000);
  store.set("name", "Ada");
  // @ts-expect-error: not a number
  store.set("name", 1);
  const error = new RepoError("timeout", "too late");
  const code: "timeout" | string = error.code;
  console.log(code);
}

export async function documents(): Promise<void> {
  await init();
  const doc = new LoroDoc<{ outline: LoroTree<{ title: string }>; items: LoroText }>();
  const root = doc.getTree("outline").createNode();
  const title: string = root.data.get("title");
  // @ts-expect-error: not a string
  root.data.set("title", 1);
  const json: string = root.toJSON().meta.title + root.createNode(0).children()?.length;
  const counter: number = new LoroDoc().getMap("m").setContainer("n", new LoroCounter()).value;
  const plain: string = doc.getText("items").toContainerTree().value;
  const delta = doc.getText("items").toContainerTree({ text: "delta" }).value[0]?.insert;
  const kind: "Map" = getType(new LoroMap());
  const undo = new UndoManager(doc, {
    onPush: (isUndo, range, event) => ({ value: { isUndo, from: range.start, by: event?.by }, cursors: [] }),
    onPop: (_, { cursors }) => console.log(cursors.map((cursor) => doc.getCursorPos(cursor)?.offset)),
  });
  for (const [id, diff] of doc.diff([], doc.frontiers())) if (diff.type === "counter") console.log(id, diff.increment);
  for (const change of doc.exportJsonUpdates().changes) console.log(change.msg, change.ops.length);
  const end = doc.subscribePreCommit(({ modifier, changeMeta }) => void modifier.setMessage(`${changeMeta.length}`));
  end();
  console.log(title, json, counter, plain, delta, kind, undo.topUndoValue());
}

/** Who wrote what, and the text as it was. */
export async function lookBack(repo: Repo): Promise<string[]> {
  const handle = repo.get("notes");
  const lines: string[] = [];
  for (let page = handle.history.page({ limit: 20 }); page.length > 0; page = handle.history.page({ before: page.at(-1), limit: 20 })) {
    for (const { author, time, message, length } of page) lines.push(`${author} ${time ? new Date(time).toISOString() : "?"} ${message ?? ""} ${length}`);
    await Promise.resolve();
  }
  for (const change of handle.history) lines.push(handle.doc.forkAt(change.frontiers).getText("text").toString());
  lines.push(handle.doc.forkAt(handle.history.at(Math.floor(handle.history.end / 2))).getText("text").toString());
  return lines;
}

type Fact = { title: string; count?: number; bytes?: Uint8Array };

export async function records(repo: Repo): Promise<string | undefined> {
  const shared = repo.collection<Fact>("facts", { kind: "shared" });
  await shared.insert("a", { title: "A" });
  await shared.update("a", { count: 1 });
  // @ts-expect-error a field of another type
  await shared.update("a", { count: "1" });
  // @ts-expect-error nobody owns shared records
  await shared.get("a", { owner: "x" });
  const [first] = await shared.entries({ prefix: "a", limit: 1 });
  for (const { key } of await shared.keys({ prefix: "a" })) key satisfies string;
  const owned = repo.collection<Fact>("own", { kind: "owned" });
  for (const { key, owner } of await owned.keys()) [key, owner] satisfies string[];
  for (const { owner, value } of await owned.entries({ owner: await repo.device })) owner satisfies string, value satisfies Fact;
  const end: () => void = owned.subscribe((changes) => changes.forEach(({ key, owner, deleted, local }) => void [key, owner, deleted, local]));
  end();
  await repo.catalogue.set("d", { title: "D", labels: ["x"] });
  const entry = await repo.catalogue.get("d");
  return first?.value.title ?? entry?.opened[0]?.name;
}
