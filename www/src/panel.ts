// What the repo knows, as a table.
import type { DocHandle, Repo } from "corella";

const bytes = (n: number) => (n < 1000 ? `${n} B` : n < 1e6 ? `${(n / 1e3).toFixed(1)} kB` : `${(n / 1e6).toFixed(1)} MB`);

function row(cells: string[], tag: "td" | "th" = "td"): HTMLTableRowElement {
  const line = document.createElement("tr");
  for (const text of cells) {
    const cell = document.createElement(tag);
    cell.textContent = text;
    line.append(cell);
  }
  return line;
}

function table(head: string[], lines: string[][]): HTMLTableElement {
  const element = document.createElement("table");
  element.append(row(head, "th"), ...lines.map((line) => row(line)));
  return element;
}

export function facts(repo: Repo, handle: DocHandle | undefined): DocumentFragment {
  const out = document.createDocumentFragment();
  const states = new Map((handle?.readyStates ?? []).map((state) => [state.peerId, state]));
  const operations = (id: string) => {
    const version = states.get(id)?.version;
    return version ? String([...version.toJSON().values()].reduce((sum, end) => sum + end, 0)) : "–";
  };
  out.append(
    table(
      ["Peer", "Through", "This document", "Operations", "Messages in / out", "Bytes in / out"],
      repo.peers.flatMap((peer) =>
        peer.channels.map(({ adapter, stats }) => [
          `${peer.name ?? peer.type} ${peer.peerId.slice(-4)}`,
          adapter,
          states.get(peer.peerId)?.state ?? "–",
          operations(peer.peerId),
          `${stats.messagesIn} / ${stats.messagesOut}`,
          `${bytes(stats.bytesIn)} / ${bytes(stats.bytesOut)}`,
        ]),
      ),
    ),
    table(
      ["This repo", "Document", "Operations here", "Not with the hub", "Safe", "Documents known"],
      [
        [
          repo.peerId.slice(-4),
          ...(handle ? [handle.docId, String(handle.doc.opCount()), String(handle.unsynced), handle.durability] : ["–", "–", "–", "–"]),
          String(repo.list().length),
        ],
      ],
    ),
  );
  return out;
}
