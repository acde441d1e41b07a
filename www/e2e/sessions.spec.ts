// What sessions of one user leave behind, in real storage: author ids, and edits the hub does not have yet.
import { expect, type Page, test } from "@playwright/test";
import { ground } from "./ground.js";

const here = ground();

/** Writes a word in so many sessions, one after the other, and tells how many authors the document has then. */
async function sessions(page: Page, count: number, clean: boolean): Promise<number> {
  return page.evaluate(
    async ({ count, clean, entry }) => {
      const { Repo, IndexedDBAdapter } = (await import(entry)) as typeof import("corella");
      let authors = 0;
      for (let n = 0; n < count; n += 1) {
        const repo = await Repo.open({ adapters: [new IndexedDBAdapter()] });
        const handle = repo.get("d");
        await handle.waitForSync({ kind: "storage" });
        handle.change((doc) => doc.getText("t").insert(0, "x"));
        await repo.flush();
        authors = handle.doc.version().toJSON().size;
        if (clean) await repo.close();
      }
      return authors;
    },
    { count, clean, entry: here.entry },
  );
}

test("sessions that are closed write under one author, and an unclean end costs one", async ({ browser }) => {
  const context = await browser.newContext();
  const page = await here.page(context);
  expect(await sessions(page, 30, true)).toBe(1);
  expect(await sessions(page, 1, false)).toBe(1);
  await page.close();
  const next = await here.page(context);
  expect(await sessions(next, 10, true)).toBe(2);
});

test("two tabs at once write under two authors, however often", async ({ browser }) => {
  const context = await browser.newContext();
  const pages = [await here.page(context), await here.page(context)];
  const counts = await Promise.all(pages.map((page) => sessions(page, 15, true)));
  expect(Math.max(...counts)).toBeLessThanOrEqual(2);
  expect(await sessions(pages[0]!, 1, true)).toBeLessThanOrEqual(2);
});

test("what was typed offline is sent after restarts without being opened, and what the hub has counts as sent", async ({ browser }) => {
  const context = await browser.newContext();
  const { entry } = here;
  const { url } = here.wire;
  const first = await here.page(context);
  await first.evaluate(
    async ({ entry, url }) => {
      const { Repo, IndexedDBAdapter, WebSocketAdapter } = (await import(entry)) as typeof import("corella");
      const socket = new WebSocketAdapter({ url });
      const repo = await Repo.open({ adapters: [new IndexedDBAdapter(), socket] });
      for (const id of ["synced", "stranded"]) {
        const handle = repo.get(id);
        handle.change((doc) => doc.getText("t").insert(0, "online"));
        await handle.whenDurable("hub-disk");
      }
      socket.disconnect();
      repo.get("stranded").change((doc) => doc.getText("t").insert(0, "offline and "));
      await repo.flush();
    },
    { entry, url },
  );
  await first.close();
  for (let n = 0; n < 2; n += 1) {
    const offline = await here.page(context);
    const unsynced = await offline.evaluate(async (entry) => {
      const { Repo, IndexedDBAdapter } = (await import(entry)) as typeof import("corella");
      const repo = await Repo.open({ adapters: [new IndexedDBAdapter()] });
      const counts = [];
      for (const id of ["synced", "stranded"]) {
        const handle = repo.get(id);
        await handle.waitForSync({ kind: "storage" });
        counts.push(handle.unsynced);
      }
      return counts;
    }, entry);
    expect(unsynced).toEqual([0, 12]);
    await offline.close();
  }
  const online = await here.page(context);
  await online.evaluate(
    async ({ entry, url }) => {
      const { Repo, IndexedDBAdapter, WebSocketAdapter } = (await import(entry)) as typeof import("corella");
      await Repo.open({ adapters: [new IndexedDBAdapter(), new WebSocketAdapter({ url })] });
    },
    { entry, url },
  );
  const other = await here.page(await browser.newContext());
  const text = () =>
    other.evaluate(
      async ({ entry, url }) => {
        const { Repo, WebSocketAdapter } = (await import(entry)) as typeof import("corella");
        const repo = await Repo.open({ adapters: [new WebSocketAdapter({ url })] });
        const handle = repo.get("stranded");
        await handle.waitForSync();
        const text = handle.doc.getText("t").toString();
        await repo.close();
        return text;
      },
      { entry, url },
    );
  await expect.poll(text).toBe("offline and online");
});
