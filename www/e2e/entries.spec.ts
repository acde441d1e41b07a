// The packed package in a Vite project beside a library written for loro-crdt: one instance and one wasm module, built and in development.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { expect, type Page, test } from "@playwright/test";
import { build, createServer, preview } from "vite";

const pkg = resolve(import.meta.dirname, "../../pkg");
let app: string;

const FILES = {
  "package.json": JSON.stringify({ name: "app", private: true, type: "module" }),
  "index.html": '<!doctype html><title>app</title><script type="module" src="/main.js"></script>',
  "vite.config.js": `
    import { aliases } from "corella/aliases";
    export default {
      resolve: { alias: aliases },
      optimizeDeps: { exclude: ["corella", "loro-crdt"] },
      server: { host: "127.0.0.1", port: 0 },
      preview: { host: "127.0.0.1", port: 0 },
      logLevel: "error",
    };`,
  "main.js": `
    import { LoroDoc, Repo } from "corella";
    import * as alone from "corella/loro";
    import * as binding from "binding";
    const code = (work) => { try { work(); } catch (error) { return error.code; } };
    window.result = (async () => {
      const early = code(() => new binding.LoroDoc());
      await binding.loaded();
      const repo = await Repo.open();
      const { doc } = repo.get("d");
      binding.write(doc.getText("t"));
      const same = [binding.LoroDoc, binding.web.LoroDoc, binding.bundler.LoroDoc, alone.LoroDoc].every((other) => other === LoroDoc);
      return { early, same, instance: doc instanceof binding.LoroDoc, text: doc.getText("t").toString() };
    })();`,
  "node_modules/binding/package.json": JSON.stringify({ name: "binding", version: "1.0.0", type: "module", main: "index.js" }),
  "node_modules/binding/index.js": `
    import { LoroDoc, LoroText } from "loro-crdt";
    import init, * as web from "loro-crdt/web";
    import * as bundler from "loro-crdt/bundler";
    import address from "loro-crdt/web/loro_wasm_bg.wasm?url";
    export { LoroDoc, web, bundler };
    export const loaded = () => init({ module_or_path: address });
    export const write = (text) => {
      if (!(text instanceof LoroText)) throw new Error("a text of another module");
      text.insert(0, "by a binding");
    };`,
};

test.beforeAll(() => {
  app = realpathSync(mkdtempSync(join(tmpdir(), "corella-app-")));
  const npm = (folder: string, ...args: string[]) => execFileSync("npm", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const [{ filename, files }] = JSON.parse(npm(pkg, "pack", "--json", "--pack-destination", app));
  expect(files.some(({ path }: { path: string }) => path === "corella_bg.wasm")).toBe(true);
  writeFileSync(join(app, "package.json"), FILES["package.json"]);
  npm(app, "install", "--offline", "--no-audit", "--no-fund", `./${filename}`);
  for (const [file, text] of Object.entries(FILES)) {
    if (file === "package.json") continue;
    mkdirSync(dirname(join(app, file)), { recursive: true });
    writeFileSync(join(app, file), text);
  }
});
test.afterAll(() => rmSync(app, { recursive: true, force: true }));

async function seen(page: Page, address: string | undefined): Promise<void> {
  if (address === undefined) throw new Error("the server has no address");
  let modules = 0;
  page.on("response", (response) => void (modules += response.headers()["content-type"]?.startsWith("application/wasm") ? 1 : 0));
  await page.goto(address);
  const result = await page.evaluate(() => (window as unknown as { result: Promise<object> }).result);
  expect(result).toEqual({ early: "not-loaded", same: true, instance: true, text: "by a binding" });
  expect(modules).toBe(1);
}

test("built", async ({ page }) => {
  await build({ root: app });
  expect(readdirSync(join(app, "dist/assets")).filter((name) => name.endsWith(".wasm"))).toHaveLength(1);
  const server = await preview({ root: app });
  try {
    await seen(page, server.resolvedUrls?.local[0]);
  } finally {
    await server.close();
  }
});

test("in development", async ({ page }) => {
  const server = await createServer({ root: app });
  try {
    await server.listen();
    await seen(page, server.resolvedUrls?.local[0]);
  } finally {
    await server.close();
  }
});
