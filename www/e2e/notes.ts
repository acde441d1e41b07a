// What specs of the notebook do again and again: opening it, making notes, reading what an editor shows.
import { type BrowserContext, expect, type Page } from "@playwright/test";
import type { Hub } from "./hub.js";

export type Kind = "plain" | "rich";
export const PATHS: Record<Kind, string> = { plain: "", rich: "prosemirror.html" };

/** Opens a page and collects what it complains of; a hub that is away on purpose is no complaint. */
export async function visit(hub: Hub, context: BrowserContext, problems: string[], kind: Kind, name: string): Promise<Page> {
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !/WebSocket|ERR_CONNECTION_REFUSED|Failed to load resource/.test(message.text())) problems.push(message.text());
  });
  await page.goto(`${hub.url}${PATHS[kind]}?name=${name}`);
  await expect(page.locator("#connection")).not.toBeEmpty();
  return page;
}

export const editor = (page: Page) => page.locator("#editor .cm-content, #editor .ProseMirror");

export async function newNote(page: Page, title: string): Promise<void> {
  await page.getByRole("button", { name: "New note" }).click();
  await expect(editor(page)).toBeFocused();
  await page.locator("#title").fill(title);
  await editor(page).click();
}

export async function openNote(page: Page, title: string): Promise<void> {
  await page.getByRole("link", { name: title }).click();
  await expect(editor(page)).toBeFocused();
}

/** What the editor or the preview shows, as simple HTML; a plain note's lines are joined by "\n". Cursors and colours are left out. */
export function shown(page: Page, within = "#editor"): Promise<string> {
  return page.locator(`${within} :is(.cm-content, .ProseMirror)`).evaluate((element) => {
    const copy = element.cloneNode(true) as HTMLElement;
    for (const extra of copy.querySelectorAll(".remote-caret, .cm-widgetBuffer, .cm-placeholder, .ProseMirror-trailingBreak, .ProseMirror-separator")) extra.remove();
    for (const span of copy.querySelectorAll("span")) span.replaceWith(...span.childNodes);
    if (copy.classList.contains("cm-content")) return [...copy.querySelectorAll(".cm-line")].map((line) => line.textContent).join("\n");
    for (const block of copy.querySelectorAll("*")) for (const { name } of [...block.attributes]) block.removeAttribute(name);
    return copy.innerHTML;
  });
}

/** The note's content as the document has it, without who its authors are. */
export function content(page: Page): Promise<string> {
  return page.evaluate(() => {
    const { corella } = window as unknown as { corella: { repo: { get(id: string): { doc: { toJSON(): Record<string, unknown> } } } } };
    const { authors: _, ...rest } = corella.repo.get(`notebook/note/${location.hash.slice(1)}`).doc.toJSON();
    return JSON.stringify(rest);
  });
}

/** Both show the same, and what they show is what the documents say. */
export async function same(pages: Page[], expected: string): Promise<void> {
  for (const page of pages) await expect.poll(() => shown(page)).toBe(expected);
  const contents = await Promise.all(pages.map(content));
  expect(new Set(contents).size).toBe(1);
}
