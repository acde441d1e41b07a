// Time travel: old versions, who wrote what, and back again.
import { expect, type Page, test } from "@playwright/test";
import { Hub } from "./hub.js";
import { editor, type Kind, newNote, openNote, same, shown, visit } from "./notes.js";

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

const slider = (page: Page) => page.getByRole("slider", { name: "Version" });
const open = (page: Page) => page.getByRole("button", { name: "History of this note" }).click();
const line = (kind: Kind, text: string) => (kind === "rich" ? `<p>${text}</p>` : text);

/** Moves the slider to the latest version that shows `text`. */
async function travelTo(page: Page, text: string): Promise<void> {
  await slider(page).focus();
  const newest = Number(await slider(page).getAttribute("max"));
  for (let steps = 0; steps <= newest; steps += 1) {
    if ((await shown(page, ".history")) === text) return;
    const before = await slider(page).inputValue();
    await page.keyboard.press("ArrowLeft");
    await expect(slider(page)).not.toHaveValue(before);
    await expect(page.locator(".history-text")).toHaveAttribute("aria-busy", "false");
  }
  throw new Error(`no version shows ${text}`);
}

for (const kind of ["plain", "rich"] as const) {
  test(`${kind}: an old version is shown while others write, and restored for everybody`, async ({ browser }) => {
    const a = await visit(hub, await browser.newContext(), problems, kind, "Ada");
    const b = await visit(hub, await browser.newContext(), problems, kind, "Bob");
    await newNote(a, "Then");
    await a.keyboard.insertText("first 😀");
    await openNote(b, "Then");
    await same([a, b], line(kind, "first 😀"));
    await b.keyboard.press("End");
    await b.keyboard.insertText(", second");
    await same([a, b], line(kind, "first 😀, second"));

    await open(a);
    await expect(slider(a)).toBeFocused();
    await expect.poll(() => shown(a, ".history")).toBe(line(kind, "first 😀, second"));
    await expect(a.getByRole("button", { name: "Restore this version" })).toBeDisabled();
    // Who wrote what.
    const written = a.locator(".history .written");
    await expect(written.filter({ hasText: "first" })).toHaveAttribute("title", "Ada");
    await expect(written.filter({ hasText: "second" })).toHaveAttribute("title", "Bob");
    await written.filter({ hasText: "second" }).hover();
    await expect(a.locator(".history-detail")).toContainText("Bob · ");
    await expect(a.locator(".history-rows")).toContainText("Ada");
    await expect(a.locator(".history-rows")).toContainText("Bob");

    // The note goes on meanwhile, and who looks at an old version stays there.
    await travelTo(a, line(kind, "first 😀"));
    await b.keyboard.insertText(", third");
    await same([b], line(kind, "first 😀, second, third"));
    await expect.poll(() => shown(a)).toBe(line(kind, "first 😀, second, third"));
    expect(await shown(a, ".history")).toBe(line(kind, "first 😀"));

    await a.getByRole("button", { name: "Restore this version" }).click();
    await expect(a.locator(".history")).toHaveCount(0);
    await same([a, b], line(kind, "first 😀"));
    // A new edit: what was is still in the history, with what was done, and can be undone by who did it.
    await open(b);
    await expect(b.locator(".history-rows li").first()).toContainText("Restored the version of");
    await expect(b.locator(".history-rows li").first()).toContainText("Ada");
    await b.keyboard.press("Escape");
    await editor(a).click();
    await a.keyboard.press("Control+z");
    await same([a, b], line(kind, "first 😀, second, third"));
    expect(problems).toEqual([]);
  });
}

test("the list of changes leads to versions, and who looks at the latest sees it grow", async ({ browser }) => {
  const a = await visit(hub, await browser.newContext(), problems, "plain", "Ada");
  const b = await visit(hub, await browser.newContext(), problems, "plain", "Bob");
  await newNote(a, "Growing");
  await a.evaluate(() => {
    const { corella } = window as unknown as { corella: { repo: { get(id: string): { change(edit: (doc: { getText(name: string): { push(text: string): void } }) => void, options: object): void } } } };
    const handle = corella.repo.get(`notebook/note/${location.hash.slice(1)}`);
    for (const word of ["one", " two", " three"]) handle.change((doc) => doc.getText("text").push(word), { message: `wrote${word}` });
  });
  await openNote(b, "Growing");
  await same([a, b], "one two three");
  await open(b);
  await expect(b.locator(".history-rows li")).toHaveCount(3);
  await expect(b.locator(".history-rows li").first()).toContainText("wrote three");
  await b.getByRole("button", { name: /wrote two/ }).click();
  await expect.poll(() => shown(b, ".history")).toBe("one two");
  await expect(b.locator(".history-detail")).toContainText("“wrote two”");
  await expect(b.locator('.history-rows [aria-current="true"]')).toContainText("wrote two");
  await slider(b).press("End");
  await expect.poll(() => shown(b, ".history")).toBe("one two three");
  await a.keyboard.press("End");
  await a.keyboard.insertText(" four");
  await expect.poll(() => shown(b, ".history")).toBe("one two three four");
  await b.getByRole("button", { name: "Back to the note" }).click();
  await same([a, b], "one two three four");
  expect(problems).toEqual([]);
});
