import "./style.css";
import * as corella from "corella";
import { BroadcastChannelAdapter, type DocHandle, IndexedDBAdapter, Repo, RepoError, WebSocketAdapter } from "corella";
import { HistoryPanel } from "./history.js";
import type { Editor, EditorKind } from "./kinds.js";
import { labelsOf, NoteList, noteId } from "./note-list.js";
import { facts } from "./panel.js";
import { type Person, Presence, whoAmI } from "./people.js";

const find = <T extends HTMLElement>(selector: string): T => {
  const element = document.querySelector<T>(selector);
  if (!element) throw new Error(`${selector} is missing`);
  return element;
};

interface Open {
  id: string;
  handle: DocHandle;
  presence: Presence;
  editor?: Editor;
  history?: HistoryPanel;
  /** The note was seen in the list, so that its absence means that it was deleted, not that the list is still loading. */
  listed: boolean;
  ends: (() => void)[];
}

const PAGES = { plain: "./", rich: "./prosemirror.html" };

/** The notebook, with the notes of one kind; those of the other are links to its other page. */
export async function start(editors: EditorKind): Promise<void> {
  const me = whoAmI();
  const here = new URL(location.href);
  const hub = here.searchParams.get("hub") ?? `${here.protocol === "https:" ? "wss:" : "ws:"}//${here.host}/ws`;
  const socket = new WebSocketAdapter({ url: hub });
  const adapters = [new IndexedDBAdapter(), new BroadcastChannelAdapter(), ...(here.searchParams.has("alone") ? [] : [socket])];
  const repo = await Repo.open({
    identity: { name: me.name },
    adapters,
    // A note that anybody deletes is deleted here too.
    permissions: { deletion: () => true },
  });

  /** The page for a kind of note, opened as this one was. */
  const page = (kind: EditorKind["kind"], id?: string) => `${PAGES[kind]}${here.search}${id === undefined ? "" : `#${id}`}`;

  let open: Open | undefined;

  function toast(text: string): void {
    const note = document.createElement("p");
    note.textContent = text;
    find("#toasts").append(note);
    setTimeout(() => note.remove(), 8000);
  }
  repo.on("error", ({ error }) => {
    if (error.code !== "refused") toast(error.message);
  });
  let storage: { ok: boolean; text: string } = { ok: true, text: "" };
  repo.on("storage-health", ({ ok, error }) => {
    storage = { ok, text: error?.message ?? "" };
    if (!ok) toast(`Not saved on this device: ${storage.text}`);
    showStatus();
  });

  const list = new NoteList(repo, ({ id, kind }) => (kind === editors.kind ? `#${id}` : page(kind, id)), () => open?.id, showNote);

  /** Shows what the list knows of the open note. */
  function showNote(): void {
    const current = list.get(open?.id);
    const fill = (selector: string, value: string) => {
      const input = find<HTMLInputElement>(selector);
      if (document.activeElement !== input) input.value = value;
      input.disabled = !current;
    };
    fill("#title", current?.title ?? "");
    fill("#labels", current?.labels.join(", ") ?? "");
    find<HTMLButtonElement>("#delete-note").disabled = !current;
    find<HTMLButtonElement>("#history").disabled = !current;
    if (!open) return;
    if (current && current.kind !== editors.kind) location.replace(page(current.kind, current.id));
    if (current) open.listed = true;
    else if (open.listed) location.hash = "";
  }

  function show(id: string | undefined): void {
    if (open?.id === id) return;
    if (open) {
      open.history?.destroy();
      open.editor?.destroy();
      for (const end of open.ends) end();
      open.presence.leave();
      open.handle.close();
      open = undefined;
    }
    find("#editor").replaceChildren();
    const handle = id === undefined ? undefined : openNote(id);
    find("#empty").hidden = handle !== undefined;
    if (id !== undefined && handle) {
      const presence = new Presence(handle, me, repo.peerId);
      open = { id, handle, presence, listed: false, ends: [presence.subscribe(showPeople), handle.subscribe(edit)] };
    }
    edit();
    document.body.classList.remove("menu");
    list.draw();
    showNote();
    showPeople();
    showStatus();
  }

  /** Begins to edit the open note, when what its editor needs is here. */
  function edit(): void {
    find("#waiting").hidden = !open || editors.isReady(open.handle.doc);
    if (!open || open.editor || !editors.isReady(open.handle.doc)) return;
    // Not while the document tells of what arrived.
    const { handle } = open;
    queueMicrotask(() => {
      if (!open || open.handle !== handle || open.editor) return;
      open.editor = editors.edit(find("#editor"), handle, me, open.presence);
      open.editor.focus();
    });
  }

  function showHistory(shown: boolean): void {
    if (!open || shown === (open.history !== undefined)) return;
    if (shown) open.history = new HistoryPanel(find("footer"), open.handle, editors, () => showHistory(false));
    else {
      open.history?.destroy();
      open.history = undefined;
      open.editor?.focus();
    }
    find("#editor").hidden = shown;
    find("#history").setAttribute("aria-pressed", String(shown));
  }

  function openNote(id: string): DocHandle | undefined {
    try {
      return repo.get(noteId(id));
    } catch (error) {
      toast(error instanceof RepoError && error.code === "deleted" ? "This note was deleted." : String(error));
      return undefined;
    }
  }

  function showPeople(): void {
    const badge = ({ name, color }: Person) => {
      const dot = document.createElement("span");
      dot.style.background = color;
      dot.textContent = name.slice(0, 2);
      dot.title = name;
      return dot;
    };
    find("#people").replaceChildren(...[me, ...(open?.presence.others ?? [])].map(badge));
  }

  function showStatus(): void {
    const states = open?.handle.readyStates ?? [];
    const set = (selector: string, state: "good" | "busy" | "bad", text: string) => {
      const element = find(selector);
      element.dataset.state = state;
      element.textContent = text;
    };
    const disk = repo.adapters[0]?.state;
    if (!storage.ok || disk === "closed") set("#saved", "bad", "Not saved on this device");
    else if (disk === "open" && open?.handle.durability !== "memory") set("#saved", "good", "Saved on this device");
    else set("#saved", "busy", "Saving…");
    const network = states.filter(({ kind }) => kind === "network");
    if (socket.state !== "open") {
      const why = socket.state === "off" ? "Offline" : "Connecting";
      set("#connection", "busy", `${why} – changes are kept`);
    } else if (repo.unsynced === 0 && (!open || network.some(({ state }) => state === "synced"))) set("#connection", "good", "In sync with the hub");
    else set("#connection", "busy", "Syncing…");
    const { unsynced } = repo;
    find("#unsynced").hidden = unsynced === 0 || socket.state === "open";
    find("#unsynced").textContent = `${unsynced} ${unsynced === 1 ? "change" : "changes"} not with the hub yet`;
    find<HTMLInputElement>("#online").checked = socket.state !== "off";
  }

  let drawing = false;
  function draw(): void {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(() => {
      drawing = false;
      showStatus();
      if (find<HTMLDetailsElement>("#panel").open) find("#facts").replaceChildren(facts(repo, open?.handle));
    });
  }

  repo.on("ready-state-changed", draw);
  repo.on("unsynced-changed", draw);
  repo.on("document-removed", ({ docId }) => {
    if (open && docId === noteId(open.id)) location.hash = "";
  });
  repo.on("adapter-changed", draw);
  repo.on("peer-connected", draw);
  repo.on("peer-disconnected", draw);
  setInterval(draw, 1000);
  find("#panel").addEventListener("toggle", draw);

  find("#new-note").addEventListener("click", () => {
    const id = crypto.randomUUID();
    editors.begin(repo.get(noteId(id)));
    void list.put(id, { title: "New note", kind: editors.kind }).then(() => (location.hash = id));
  });
  find("#title").addEventListener("input", (event) => {
    if (open) void list.put(open.id, { title: (event.target as HTMLInputElement).value });
  });
  find("#labels").addEventListener("change", (event) => {
    if (open) void list.put(open.id, { labels: labelsOf((event.target as HTMLInputElement).value) });
  });
  find("#labels").addEventListener("keydown", (event) => {
    if (event.key === "Enter") open?.editor?.focus();
  });
  find("#title").addEventListener("keydown", (event) => {
    if (event.key === "Enter") open?.editor?.focus();
  });
  find("#delete-note").addEventListener("click", () => {
    if (!open || !confirm("Delete this note from the notebook?")) return;
    const { id } = open;
    show(undefined);
    location.hash = "";
    void repo.delete(noteId(id));
  });
  find("#online").addEventListener("change", (event) => {
    if ((event.target as HTMLInputElement).checked) socket.connect();
    else socket.disconnect();
    draw();
  });
  find("#history").addEventListener("click", () => showHistory(open?.history === undefined));
  find("#menu").addEventListener("click", (event) => {
    const shown = document.body.classList.toggle("menu");
    (event.currentTarget as HTMLElement).setAttribute("aria-expanded", String(shown));
  });

  for (const link of document.querySelectorAll<HTMLAnchorElement>("#pages a")) {
    const kind = link.dataset.kind as EditorKind["kind"];
    link.href = page(kind);
    if (kind === editors.kind) link.setAttribute("aria-current", "page");
  }
  const route = () => show(location.hash.slice(1) || undefined);
  addEventListener("hashchange", route);
  find("#empty").hidden = false;
  route();
  draw();

  if ("serviceWorker" in navigator && import.meta.url.includes("/assets/")) {
    void navigator.serviceWorker.register("./sw.js").catch(() => undefined);
  }

  // For trying things in the console.
  Object.assign(window, { corella: { ...corella, repo, socket } });
}
