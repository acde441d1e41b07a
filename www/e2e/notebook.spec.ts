// The notebook as people use it: two browsers, tabs, no hub, no network.
import { type BrowserContext, expect, type Page, test } from "@playwright/test";
import { Hub } from "./hub.js";

let hub: Hub;
const problems: string[] = [];

test.beforeEach(async () => {
  hub = await Hub.start();
  problems.length = 0;
});
test.afterEach(async () => {
  await hub.stop();
});

/** Opens the page and collects what it complains of; a hub that is away on purpose is no complaint. */
async function visit(context: BrowserContext, path = ""): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !/WebSocket|ERR_CONNECTION_REFUSED|Failed to load resource/.test(message.text())) problems.push(message.text());
  });
  await page.goto(hub.url + path);
  await expect(page.locator("#connection")).not.toBeEmpty();
  return page;
}

const text = (page: Page) => page.locator(".cm-content").evaluate((element) => (element as HTMLElement).innerText.replace(/\n$/, ""));
const editor = (page: Page) => page.locator(".cm-content");

async function newNote(page: Page, title: string): Promise<void> {
  if (await page.locator("#menu").isVisible()) await page.locator("#menu").click();
  await page.getByRole("button", { name: "New note" }).click();
  await page.locator("#title").fill(title);
  await editor(page).click();
}

test("two people write one note and see each other's cursors", async ({ browser }) => {
  const [a, b] = [await visit(await browser.newContext()), await visit(await browser.newContext())];
  await newNote(a, "Shopping");
  await a.keyboard.type("milk 😀 and bread");
  await b.getByRole("link", { name: "Shopping" }).click();
  await expect.poll(() => text(b)).toBe("milk 😀 and bread");
  await editor(b).click();
  await b.keyboard.press("End");
  await b.keyboard.type(", eggs");
  await expect.poll(() => text(a)).toBe("milk 😀 and bread, eggs");
  // One edit: keystrokes that a slow machine spreads out, or that another's edit comes between, are undone in steps.
  await a.keyboard.press("Home");
  await a.keyboard.insertText("Today: ");
  for (const page of [a, b]) await expect.poll(() => text(page)).toBe("Today: milk 😀 and bread, eggs");
  for (const page of [a, b]) await expect(page.locator(".remote-caret")).toHaveCount(1);
  await expect(a.locator("#connection")).toHaveText("In sync with the hub");
  await expect(a.locator("#saved")).toHaveText("Saved on this device");

  // One's own edits only.
  await a.keyboard.press("Control+z");
  for (const page of [a, b]) await expect.poll(() => text(page)).toBe("milk 😀 and bread, eggs");

  // Who leaves is gone at once: the connection says so, no timer.
  await b.context().close();
  await expect(a.locator(".remote-caret")).toHaveCount(0, { timeout: 1_000 });
  expect(problems).toEqual([]);
});

test("tabs share a note with the hub stopped, and a reload brings page and note back", async ({ browser }) => {
  const context = await browser.newContext();
  const first = await visit(context);
  await newNote(first, "Offline");
  await first.keyboard.type("kept");
  await expect(first.locator("#saved")).toHaveText("Saved on this device");
  await first.evaluate(() => navigator.serviceWorker.ready);
  await expect.poll(() => first.evaluate(async () => (await caches.match("./")) !== undefined)).toBe(true);
  await hub.kill();
  await expect(first.locator("#connection")).toContainText("changes are kept");

  const second = await context.newPage();
  await second.goto(first.url());
  await expect.poll(() => text(second)).toBe("kept");
  await editor(second).click();
  await second.keyboard.press("End");
  await second.keyboard.type(" in tabs");
  await expect.poll(() => text(first)).toBe("kept in tabs");
  await first.keyboard.press("End");
  await first.keyboard.type("!");
  await expect.poll(() => text(second)).toBe("kept in tabs!");

  await first.evaluate(() => (window as unknown as { corella: { repo: { flush(): Promise<void> } } }).corella.repo.flush());
  await second.close();
  await first.reload();
  await expect.poll(() => text(first)).toBe("kept in tabs!");
  await expect(first.locator("#title")).toHaveValue("Offline");

  await hub.start();
  await expect(first.locator("#connection")).toHaveText("In sync with the hub");
  const other = await visit(await browser.newContext());
  await other.getByRole("link", { name: "Offline" }).click();
  await expect.poll(() => text(other)).toBe("kept in tabs!");
});

test("the offline switch keeps edits and sends them when it is switched back", async ({ browser }) => {
  const [a, b] = [await visit(await browser.newContext()), await visit(await browser.newContext())];
  await newNote(a, "Switch");
  await a.keyboard.type("one");
  await b.getByRole("link", { name: "Switch" }).click();
  await expect.poll(() => text(b)).toBe("one");
  await a.locator("#online").uncheck();
  await expect(a.locator("#connection")).toHaveText("Offline – changes are kept");
  await editor(a).click();
  await a.keyboard.press("End");
  await a.keyboard.type(" two");
  await editor(b).click();
  await b.keyboard.press("Home");
  await b.keyboard.type("zero ");
  await expect(a.locator("#saved")).toHaveText("Saved on this device");
  expect(await text(a)).toBe("one two");
  await a.locator("#online").check();
  for (const page of [a, b]) await expect.poll(() => text(page)).toBe("zero one two");
  expect(problems).toEqual([]);
});

test("a deleted note leaves everybody's list and this device's storage", async ({ browser }) => {
  const [a, b] = [await visit(await browser.newContext()), await visit(await browser.newContext())];
  await newNote(a, "Short-lived");
  await a.keyboard.type("x");
  await expect(b.getByRole("link", { name: "Short-lived" })).toBeVisible();
  await expect(a.locator("#saved")).toHaveText("Saved on this device");
  a.on("dialog", (dialog) => void dialog.accept());
  await a.locator("#delete-note").click();
  for (const page of [a, b]) await expect(page.getByRole("link", { name: "Short-lived" })).toHaveCount(0);
  await expect
    .poll(() => a.evaluate(() => (window as unknown as { corella: { repo: { list(): { docId: string }[] } } }).corella.repo.list().map(({ docId }) => docId)))
    .toEqual([]);
  expect(problems).toEqual([]);
});

test("the panel shows peers, channels and traffic", async ({ browser }) => {
  const page = await visit(await browser.newContext());
  await newNote(page, "Facts");
  await page.keyboard.type("count me");
  await page.getByText("What the repo knows").click();
  await expect(page.locator("#facts")).toContainText("corella-hub");
  await expect(page.locator("#facts")).toContainText("websocket");
  await expect(page.locator("#facts")).toContainText("indexeddb");
  expect(problems).toEqual([]);
});
