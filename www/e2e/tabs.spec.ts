// Several tabs of one browser: one connection to the hub, whatever happens to the tab that holds it.
import { type BrowserContext, expect, type Page, test } from "@playwright/test";
import type { DocHandle, Repo, WebSocketAdapter } from "corella";
import { ground } from "./ground.js";

declare global {
  interface Window {
    repo: Repo;
    socket: WebSocketAdapter;
    handle: DocHandle;
  }
}

const here = ground();

interface Setup {
  name: string;
  shared?: boolean | string;
  stored?: boolean;
  hidden?: string;
}

/** Opens a tab with a repo of that name, which holds the document "d". */
async function tab(context: BrowserContext, setup: Setup): Promise<Page> {
  const page = await here.page(context);
  await page.evaluate(
    async ({ name, shared, stored, hidden, entry, url }) => {
      const { Repo, IndexedDBAdapter, WebSocketAdapter } = (await import(entry)) as typeof import("corella");
      window.socket = new WebSocketAdapter({ url, shared });
      const permissions = hidden ? { visibility: (doc: { id: string }, peer: { kind: string }) => peer.kind !== "network" || doc.id !== hidden } : {};
      const adapters = stored ? [new IndexedDBAdapter(), window.socket] : [window.socket];
      window.repo = await Repo.open({ identity: { name }, adapters, permissions });
      window.handle = window.repo.get("d");
    },
    { ...setup, entry: here.entry, url: here.wire.url },
  );
  return page;
}

const write = (page: Page, word: string) => page.evaluate((word) => void window.handle.change((doc) => doc.getMap("m").set(word, true)), word);
// Of what others wrote, a tab hears that it is on the hub's disk with the comparison of everything, every 30 s.
const durable = (page: Page, level: "hub" | "hub-disk" = "hub-disk") => page.evaluate((level) => window.handle.whenDurable(level, { timeout: 90_000 }), level);
const words = (page: Page) => page.evaluate(() => Object.keys(window.handle.doc.getMap("m").toJSON() as object).sort().join(" "));
const part = (page: Page) => page.evaluate(() => `${window.socket.part} ${window.socket.state}`);

/** How long it took until the page's edit was on the hub's disk. */
async function takeover(page: Page, what: string): Promise<number> {
  const began = Date.now();
  await write(page, `after ${what}`);
  await durable(page);
  const ms = Date.now() - began;
  console.log(`    ${what}: another tab's edit was on the hub's disk after ${ms} ms`);
  return ms;
}

async function outsider(browser: { newContext(): Promise<BrowserContext> }): Promise<Page> {
  return tab(await browser.newContext(), { name: "outsider" });
}

test("tabs cost the hub one connection, and each is a peer of its own with true acknowledgements", async ({ browser }) => {
  const context = await browser.newContext();
  const tabs: Page[] = [];
  for (let n = 0; n < 5; n += 1) tabs.push(await tab(context, { name: `tab ${n}`, stored: n % 2 === 0 }));
  for (const [n, page] of tabs.entries()) await expect.poll(() => part(page)).toBe(n === 0 ? "leader open" : "follower open");
  const other = await outsider(browser);
  for (const [n, page] of tabs.entries()) await write(page, `w${n}`);
  await Promise.all(tabs.map((page) => durable(page)));
  for (const page of tabs) {
    await page.evaluate(() => window.handle.waitForSync());
    const seen = await page.evaluate(() => ({
      hub: window.repo.peers.filter((peer) => peer.type === "service" && peer.channels.some((channel) => channel.kind === "network")).length,
      states: window.handle.readyStates.filter((state) => state.kind === "network").map((state) => state.state),
      unsynced: window.handle.unsynced,
    }));
    expect(seen).toEqual({ hub: 1, states: ["synced"], unsynced: 0 });
  }
  for (const page of [...tabs, other]) await expect.poll(() => words(page)).toBe("w0 w1 w2 w3 w4");
  expect({ made: here.wire.made, open: here.wire.open }).toEqual({ made: 2, open: 2 });
});

test("a lost connection comes back for all tabs, and what they wrote meanwhile with it", async ({ browser }) => {
  const context = await browser.newContext();
  const tabs = [await tab(context, { name: "a" }), await tab(context, { name: "b" }), await tab(context, { name: "c" })];
  for (const page of tabs) await durable(page).catch(() => {});
  await here.hub.kill();
  for (const [n, page] of tabs.entries()) {
    await write(page, `offline ${n}`);
    await expect.poll(() => part(page)).not.toContain("open");
  }
  await here.hub.start();
  await Promise.all(tabs.map((page) => durable(page)));
  for (const page of tabs) await expect.poll(() => words(page)).toBe("offline 0 offline 1 offline 2");
  await expect.poll(() => here.wire.open).toBe(1);
});

test("when the leader is closed another tab leads at once, and sends only what the hub had not confirmed", async ({ browser }) => {
  const context = await browser.newContext();
  const leader = await tab(context, { name: "leader" });
  const [second, third] = [await tab(context, { name: "second" }), await tab(context, { name: "third" })];
  await second.evaluate(() => {
    // Noise, so that it cannot be sent in few bytes.
    const noise = Array.from({ length: 30_000 }, () => Math.random().toString(36).slice(2)).join("");
    window.handle.change((doc) => doc.getText("t").insert(0, noise));
  });
  await durable(second);
  await third.evaluate(() => window.handle.waitForSync());
  const before = here.wire.bytes;
  expect(before).toBeGreaterThan(200_000);
  await leader.close();
  const ms = await takeover(second, "the leader was closed");
  expect(ms).toBeLessThan(10_000);
  await expect.poll(() => part(second)).toBe("leader open");
  await expect.poll(() => part(third)).toBe("follower open");
  await expect.poll(() => words(third)).toBe("after the leader was closed");
  expect(here.wire.bytes - before).toBeLessThan(20_000);
  expect(here.wire.open).toBe(1);
});

test("when the leader's renderer crashes another tab leads at once", async ({ browser }) => {
  const context = await browser.newContext();
  const leader = await tab(context, { name: "leader" });
  const [second, third] = [await tab(context, { name: "second" }), await tab(context, { name: "third" })];
  await write(third, "before");
  await durable(third);
  const crashed = leader.waitForEvent("crash");
  const devtools = await context.newCDPSession(leader);
  devtools.send("Page.crash").catch(() => {});
  await crashed;
  const ms = await takeover(third, "the leader crashed");
  expect(ms).toBeLessThan(10_000);
  await expect.poll(() => part(second)).toBe("leader open");
  await expect.poll(() => words(second)).toBe("after the leader crashed before");
  await expect.poll(() => here.wire.open).toBe(1);
});

test("a leader that hangs is replaced, and follows when it runs again", async ({ browser }) => {
  const context = await browser.newContext();
  const leader = await tab(context, { name: "leader" });
  const [second, third] = [await tab(context, { name: "second" }), await tab(context, { name: "third" })];
  await write(third, "before");
  await durable(third);
  await leader.evaluate(() => {
    setTimeout(() => {
      for (const end = Date.now() + 20_000; Date.now() < end; );
    }, 0);
  });
  await takeover(third, "the leader fell silent");
  await expect.poll(async () => [await part(second), await part(third)].sort()).toEqual(["follower open", "leader open"]);
  await expect.poll(() => part(leader), { timeout: 60_000 }).toBe("follower open");
  await expect.poll(() => words(leader)).toBe("after the leader fell silent before");
  await write(leader, "woken");
  await durable(leader);
  await expect.poll(() => words(second)).toBe("after the leader fell silent before woken");
  await expect.poll(() => here.wire.open).toBe(1);
});

for (const [leaving, returning] of [
  ["freeze", "resume"],
  ["pagehide", "pageshow"],
] as const) {
  // A headless browser freezes no page that counts as visible: the page is told by the events that would come.
  test(`a leader gives the connection up on ${leaving}, and is served again on ${returning}`, async ({ browser }) => {
    const context = await browser.newContext();
    const leader = await tab(context, { name: "leader" });
    const second = await tab(context, { name: "second" });
    await write(second, "before");
    await durable(second);
    const tell = (event: string) =>
      leader.evaluate((event) => void (event.startsWith("page") ? window : document).dispatchEvent(new Event(event)), event);
    await tell(leaving);
    await takeover(second, leaving);
    await expect.poll(() => part(second)).toBe("leader open");
    await expect.poll(() => part(leader)).toBe("alone waiting");
    expect(here.wire.open).toBe(1);
    await tell(returning);
    await expect.poll(() => part(leader)).toBe("follower open");
    await expect.poll(() => words(leader)).toBe(`after ${leaving} before`);
    expect(here.wire.open).toBe(1);
  });
}

test("presence of a tab behind another reaches other machines and ends with the tab", async ({ browser }) => {
  const context = await browser.newContext();
  await tab(context, { name: "leader" });
  const [closed, crashed] = [await tab(context, { name: "closed" }), await tab(context, { name: "crashed" })];
  const other = await outsider(browser);
  const present = () => other.evaluate(() => [...window.handle.ephemeral("presence").peers.values()].sort().join());
  for (const page of [closed, crashed]) {
    await page.evaluate(async () => {
      await window.handle.waitForSync();
      window.handle.ephemeral("presence").setSelf(window.repo.peers.length > 0 ? document.title : "");
    });
  }
  await closed.evaluate(() => window.handle.ephemeral("presence").setSelf("one"));
  await crashed.evaluate(() => window.handle.ephemeral("presence").setSelf("two"));
  await expect.poll(present).toBe("one,two");
  await closed.close();
  await expect.poll(present, { intervals: [20], timeout: 1000 }).toBe("two");
  const devtools = await context.newCDPSession(crashed);
  const gone = crashed.waitForEvent("crash");
  devtools.send("Page.crash").catch(() => {});
  await gone;
  await expect.poll(present).toBe("");
});

test("the hooks of each tab decide for it, and sharing can be switched off or kept apart by name", async ({ browser }) => {
  const context = await browser.newContext();
  await tab(context, { name: "open" });
  const careful = await tab(context, { name: "careful", hidden: "d" });
  const other = await outsider(browser);
  await write(careful, "mine");
  await careful.evaluate(async () => {
    const shown = window.repo.get("shown");
    shown.change((doc) => doc.getMap("m").set("x", 1));
    await shown.whenDurable("hub");
  });
  expect(await words(other)).toBe("");
  expect(await careful.evaluate(() => window.handle.durability)).toBe("memory");
  expect(here.wire.open).toBe(2);
  const apart = await tab(context, { name: "apart", shared: false });
  await write(apart, "apart");
  await durable(apart);
  expect(await part(apart)).toBe("alone open");
  expect(here.wire.open).toBe(3);
  for (const name of ["first", "second"]) await durable(await tab(context, { name, shared: "another user" }));
  expect(here.wire.open).toBe(4);
});
