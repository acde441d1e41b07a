// Programs that must compile against the package's types.
import init, { BroadcastChannelAdapter, EphemeralStore, IndexedDBAdapter, LoroDoc, LoroText, Repo, RepoError, WebSocketAdapter } from "../../pkg-template/index.js";

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
