// The list of notes on the repo's catalogue: renamed, labelled, sorted, searched, live and offline, and where a note was open last.
import { expect, type Page, test } from "@playwright/test";
import { Hub } from "./hub.js";
import { editor, newNote, visit } from "./notes.js";

let hub: Hub;
const problems: string[] = [];

test.beforeEach(async () => {
  hub = await Hub.start();
  problems.length = 0;
});
test.afterEach(async () => {
  await hub.stop();
  expect(problems).toEqual([]);
});

const titles = (page: Page) => page.locator("#notes a").allTextContents();
const row = (page: Page, title: string) => page.locator("#notes li").filter({ hasText: title });

async function label(page: Page, labels: string): Promise<void> {
  await page.locator("#labels").fill(labels);
  await page.locator("#labels").press("Enter");
  await expect(editor(page)).toBeFocused();
}

test("notes are listed with labels and times without being opened, sorted, searched and filtered", async ({ browser }) => {
  const a = await visit(hub, await browser.newContext({ viewport: { width: 1200, height: 760 } }), problems, "plain", "Ada");
  for (const [title, labels] of [
    ["Apple pie", "recipe, sweet"],
    ["Bicycle", "garage"],
    ["Cherry tart", "recipe"],
  ] as const) {
    await newNote(a, title);
    await label(a, labels);
  }
  const b = await visit(hub, await browser.newContext({ viewport: { width: 1200, height: 760 } }), problems, "rich", "Bob");
  await expect.poll(() => titles(b)).toEqual(["Cherry tart", "Bicycle", "Apple pie"]);
  await expect(row(b, "Apple pie").locator(".chip")).toHaveText(["recipe", "sweet"]);
  await expect(row(b, "Apple pie").locator("small")).toHaveText("Edited just now · last open on Ada’s device");
  await expect(row(a, "Apple pie").locator("small")).toHaveText("Edited just now · last open here");
  expect(await b.evaluate(() => (window as unknown as { corella: { repo: import("corella").Repo } }).corella.repo.list().filter(({ loaded }) => loaded).length)).toBe(0);

  await b.getByLabel("Order of notes").selectOption("title");
  await expect.poll(() => titles(b)).toEqual(["Apple pie", "Bicycle", "Cherry tart"]);
  await b.getByLabel("Search notes").fill("TART rec");
  await expect.poll(() => titles(b)).toEqual(["Cherry tart"]);
  await b.getByLabel("Search notes").fill("nothing");
  await expect(b.getByText("No note like that.")).toBeVisible();
  await b.getByLabel("Search notes").fill("");
  await b.getByRole("button", { name: "recipe" }).click();
  await expect.poll(() => titles(b)).toEqual(["Apple pie", "Cherry tart"]);
  await a.screenshot({ path: test.info().outputPath("catalogue.png") });
  await b.screenshot({ path: test.info().outputPath("catalogue-filtered.png") });
});

test("renames and labels made offline on two devices come together, and a reload has them", async ({ browser }) => {
  const [ada, bob] = [await browser.newContext(), await browser.newContext()];
  const a = await visit(hub, ada, problems, "plain", "Ada");
  await newNote(a, "Plan");
  const b = await visit(hub, bob, problems, "plain", "Bob");
  await b.getByRole("link", { name: "Plan" }).click();
  await expect(row(a, "Plan").locator("small")).toContainText("last open on Bob’s device");
  await expect(b.locator("#connection")).toHaveText("In sync with the hub");
  await hub.kill();
  await label(a, "urgent");
  await b.locator("#title").fill("Plan B");
  await label(b, "home");
  await expect(row(a, "Plan").locator(".chip")).toHaveText(["urgent"]);
  // What was typed in the very moment of leaving is the only thing a page may lose.
  await b.evaluate(() => (window as unknown as { corella: { repo: import("corella").Repo } }).corella.repo.flush());
  await b.reload();
  await expect(row(b, "Plan B").locator(".chip")).toHaveText(["home"]);
  await hub.start();
  for (const page of [a, b]) await expect(row(page, "Plan B").locator(".chip")).toHaveText(["home", "urgent"], { timeout: 40_000 });
  await expect(a.locator("#title")).toHaveValue("Plan B");
  // Deleted by one, gone for all.
  a.on("dialog", (dialog) => void dialog.accept());
  await a.getByRole("button", { name: "Delete this note" }).click();
  for (const page of [a, b]) await expect(page.locator("#notes li")).toHaveCount(0);
});
