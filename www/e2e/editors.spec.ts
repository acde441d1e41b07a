// The two editors with two people in them.
import { expect, type Page, test } from "@playwright/test";
import { Hub } from "./hub.js";
import { editor, newNote, openNote, same, shown, visit } from "./notes.js";

let hub: Hub;
const problems: string[] = [];

test.beforeEach(async () => {
  hub = await Hub.start();
  problems.length = 0;
});
test.afterEach(async ({ browser }) => {
  for (const context of browser.contexts()) await context.close();
  await hub.stop();
});

/** Where `text` stands on the screen: its middle, and the end of its last character. */
function whereIs(page: Page, text: string): Promise<{ middle: number; end: number; y: number }> {
  return editor(page).evaluate((element, text) => {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const at = node.textContent?.indexOf(text) ?? -1;
      if (at < 0) continue;
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + text.length);
      const { left, right, top, height } = range.getBoundingClientRect();
      return { middle: (left + right) / 2, end: right - 1, y: top + height / 2 };
    }
    throw new Error(`${text} is not there`);
  }, text);
}

/** Puts the cursor behind `text`. */
async function cursorAfter(page: Page, text: string): Promise<void> {
  // The page may still move under the pointer.
  await expect(async () => {
    const { end, y } = await whereIs(page, text);
    await page.mouse.click(end, y);
    const before = await page.evaluate(() => {
      const selection = getSelection();
      return selection?.focusNode?.textContent?.slice(0, selection.focusOffset) ?? "";
    });
    expect(before.endsWith(text)).toBe(true);
  }).toPass();
}

/** Selects a word. */
async function select(page: Page, word: string): Promise<void> {
  // The page may still move under the pointer.
  await expect(async () => {
    const { middle, y } = await whereIs(page, word);
    await page.mouse.dblclick(middle, y);
    expect((await page.evaluate(() => getSelection()?.toString()))?.trim()).toBe(word);
  }).toPass();
}

// A click reaches the editor by way of the browser's selection, which a busy machine may report late.
test.describe.configure({ retries: 1 });

test("plain: two people type at once in one line, each in their place", async ({ browser }) => {
  const a = await visit(hub, await browser.newContext(), problems, "plain", "Ada");
  const b = await visit(hub, await browser.newContext(), problems, "plain", "Bob");
  await newNote(a, "Together");
  await a.keyboard.insertText("start 😀 end");
  await openNote(b, "Together");
  await same([a, b], "start 😀 end");
  await a.keyboard.press("Home");
  await b.keyboard.press("End");
  await Promise.all([a.keyboard.type("from the left ", { delay: 15 }), b.keyboard.type(" to the right", { delay: 15 })]);
  await same([a, b], "from the left start 😀 end to the right");
  await expect(a.locator(".remote-caret")).toHaveAttribute("data-name", "Bob");
  await expect(b.locator(".remote-caret")).toHaveAttribute("data-name", "Ada");
  expect(problems).toEqual([]);
});

test("plain: undo takes back one's own edit only and puts the cursor back", async ({ browser }) => {
  const a = await visit(hub, await browser.newContext(), problems, "plain", "Ada");
  const b = await visit(hub, await browser.newContext(), problems, "plain", "Bob");
  await newNote(a, "Undo");
  await a.keyboard.insertText("one 🦜 two three");
  await openNote(b, "Undo");
  await same([a, b], "one 🦜 two three");
  await cursorAfter(a, "one 🦜 ");
  await a.keyboard.insertText("big ");
  await same([a, b], "one 🦜 big two three");
  await b.keyboard.press("Home");
  await b.keyboard.insertText("zero ");
  await same([a, b], "zero one 🦜 big two three");
  await a.keyboard.press("End");
  await a.keyboard.press("Control+z");
  await same([a, b], "zero one 🦜 two three");
  // The cursor is where the edit was, behind what Bob wrote meanwhile.
  await a.keyboard.type("small ");
  await same([a, b], "zero one 🦜 small two three");
  await b.keyboard.press("Control+z");
  await same([a, b], "one 🦜 small two three");
  await b.keyboard.press("Control+y");
  await same([a, b], "zero one 🦜 small two three");
  expect(problems).toEqual([]);
});

test("rich: two people type at once in one paragraph, each in their place", async ({ browser }) => {
  const a = await visit(hub, await browser.newContext(), problems, "rich", "Ada");
  const b = await visit(hub, await browser.newContext(), problems, "rich", "Bob");
  await newNote(a, "Together");
  await a.keyboard.insertText("start 😀 end");
  await a.keyboard.press("Enter");
  await a.keyboard.insertText("below");
  await openNote(b, "Together");
  await same([a, b], "<p>start 😀 end</p><p>below</p>");
  await cursorAfter(a, "start");
  await cursorAfter(b, "end");
  await Promise.all([a.keyboard.type(" from the left", { delay: 15 }), b.keyboard.type(" to the right", { delay: 15 })]);
  await same([a, b], "<p>start from the left 😀 end to the right</p><p>below</p>");
  await expect(a.locator(".remote-caret")).toHaveAttribute("data-name", "Bob");
  await expect(b.locator(".remote-caret")).toHaveAttribute("data-name", "Ada");
  // Who splits the paragraph in which another writes does not move the other's cursor.
  await cursorAfter(b, "from");
  await b.keyboard.press("Enter");
  await same([a, b], "<p>start from</p><p>&nbsp;the left 😀 end to the right</p><p>below</p>".replace("&nbsp;", " "));
  await a.keyboard.type("!");
  await same([a, b], "<p>start from</p><p> the left! 😀 end to the right</p><p>below</p>");
  expect(problems).toEqual([]);
});

test("rich: marks, headings and lists arrive, and marks set at the same time both stay", async ({ browser }) => {
  const a = await visit(hub, await browser.newContext(), problems, "rich", "Ada");
  const b = await visit(hub, await browser.newContext(), problems, "rich", "Bob");
  await newNote(a, "Marks");
  await a.keyboard.type("# Title");
  await a.keyboard.press("Enter");
  await a.keyboard.type("plain **bold** text");
  await a.keyboard.press("Enter");
  await a.keyboard.type("- one");
  await a.keyboard.press("Enter");
  await a.keyboard.type("two");
  await openNote(b, "Marks");
  const list = "<ul><li><p>one</p></li><li><p>two</p></li></ul>";
  await same([a, b], `<h1>Title</h1><p>plain <strong>bold</strong> text</p>${list}`);
  // At the same time: while neither hears of the other.
  await a.locator("#online").uncheck();
  await expect(async () => {
    await select(a, "plain");
    await a.keyboard.press("Control+i");
    await expect.poll(() => shown(a), { timeout: 3_000 }).toContain("<em>plain</em>");
  }).toPass();
  await select(b, "text");
  await b.getByRole("button", { name: "Bold" }).click();
  await same([b], `<h1>Title</h1><p>plain <strong>bold</strong> <strong>text</strong></p>${list}`);
  await a.locator("#online").check();
  await same([a, b], `<h1>Title</h1><p><em>plain</em> <strong>bold</strong> <strong>text</strong></p>${list}`);
  await expect(b.getByRole("button", { name: "Bold" })).toHaveAttribute("aria-pressed", "true");
  expect(problems).toEqual([]);
});

test("rich: undo takes back one's own edit only and puts the cursor back", async ({ browser }) => {
  const a = await visit(hub, await browser.newContext(), problems, "rich", "Ada");
  const b = await visit(hub, await browser.newContext(), problems, "rich", "Bob");
  await newNote(a, "Undo");
  await a.keyboard.insertText("one 🦜 two three");
  await openNote(b, "Undo");
  await same([a, b], "<p>one 🦜 two three</p>");
  await cursorAfter(a, "one 🦜 ");
  await a.keyboard.insertText("big ");
  await same([a, b], "<p>one 🦜 big two three</p>");
  await cursorAfter(b, "one");
  await b.keyboard.insertText("zero");
  await same([a, b], "<p>onezero 🦜 big two three</p>");
  await cursorAfter(a, "three");
  await a.keyboard.press("Control+z");
  await same([a, b], "<p>onezero 🦜 two three</p>");
  await a.keyboard.type("small ");
  await same([a, b], "<p>onezero 🦜 small two three</p>");
  await b.keyboard.press("Control+z");
  await same([a, b], "<p>one 🦜 small two three</p>");
  await b.getByRole("button", { name: "Redo" }).click();
  await same([a, b], "<p>onezero 🦜 small two three</p>");
  expect(problems).toEqual([]);
});

test("rich: what one writes offline and the other meanwhile comes together", async ({ browser }) => {
  const a = await visit(hub, await browser.newContext(), problems, "rich", "Ada");
  const b = await visit(hub, await browser.newContext(), problems, "rich", "Bob");
  await newNote(a, "Apart");
  await a.keyboard.insertText("middle");
  await openNote(b, "Apart");
  await same([a, b], "<p>middle</p>");
  await a.locator("#online").uncheck();
  await expect(a.locator("#connection")).toHaveText("Offline – changes are kept");
  await cursorAfter(a, "middle");
  await a.keyboard.press("Enter");
  await a.keyboard.type("after, by Ada");
  await cursorAfter(b, "middle");
  await b.keyboard.press("Home");
  await b.keyboard.type("before, by Bob, ");
  await same([b], "<p>before, by Bob, middle</p>");
  expect(await shown(a)).toBe("<p>middle</p><p>after, by Ada</p>");
  await a.locator("#online").check();
  await same([a, b], "<p>before, by Bob, middle</p><p>after, by Ada</p>");
  expect(problems).toEqual([]);
});

test("rich: a page, its note and a second tab are there with the hub stopped", async ({ browser }) => {
  const context = await browser.newContext();
  const first = await visit(hub, context, problems, "rich", "Ada");
  await newNote(first, "Offline");
  await first.keyboard.type("**kept**");
  await same([first], "<p><strong>kept</strong></p>");
  await expect(first.locator("#saved")).toHaveText("Saved on this device");
  await first.evaluate(() => navigator.serviceWorker.ready);
  await expect.poll(() => first.evaluate(async () => (await caches.match("./prosemirror.html")) !== undefined)).toBe(true);
  await hub.kill();
  await expect(first.locator("#connection")).toContainText("changes are kept");
  await first.reload();
  await same([first], "<p><strong>kept</strong></p>");
  const second = await context.newPage();
  await second.goto(first.url());
  await same([second], "<p><strong>kept</strong></p>");
  await cursorAfter(second, "kept");
  await second.keyboard.type(" in tabs");
  await same([first, second], "<p><strong>kept in tabs</strong></p>");
  // The other page is there too.
  await second.getByRole("link", { name: "Plain text" }).click();
  await expect(second.getByRole("link", { name: "Offline", exact: true })).toHaveAttribute("href", /prosemirror\.html/);
  await expect(second).toHaveTitle("Notebook · corella");
});
