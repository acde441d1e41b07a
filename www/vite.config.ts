import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { aliases } from "corella/aliases";
import { defineConfig, type Plugin } from "vite";

const PAGES = ["index.html", "prosemirror.html"];

/** Both pages are the same notebook. */
function shell(): Plugin {
  return {
    name: "shell",
    transformIndexHtml: { order: "pre", handler: (html) => html.replace("<!-- shell -->", readFileSync("shell.html", "utf8").trim()) },
  };
}

/** Emits the service worker with the list of everything the page is made of; its version is their content. */
function serviceWorker(): Plugin {
  return {
    name: "service-worker",
    apply: "build",
    // The pages are among the files only when the others are done.
    enforce: "post",
    generateBundle(_, bundle) {
      const files = ["./", "./manifest.webmanifest", "./icon.svg", ...Object.keys(bundle).filter((file) => file !== "index.html").map((file) => `./${file}`)];
      const content = createHash("sha256");
      for (const output of Object.values(bundle)) {
        content.update(output.fileName).update(output.type === "chunk" ? output.code : output.source);
      }
      const version = content.digest("hex").slice(0, 16);
      const source = `
const CACHE = "corella-notebook-${version}";
const FILES = ${JSON.stringify(files)};

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith("corella-notebook-") && name !== CACHE) await caches.delete(name);
    }
    await self.clients.claim();
  })());
});

// A page first from the network, so that a new version is seen at once; from the cache when the hub is away.
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin) return;
  if (event.request.mode === "navigate") {
    const cached = async () => (await caches.match(url.pathname)) ?? caches.match("./");
    event.respondWith(fetch(event.request).catch(cached));
  } else {
    event.respondWith(caches.match(event.request, { ignoreSearch: true }).then((cached) => cached ?? fetch(event.request)));
  }
});
`;
      this.emitFile({ type: "asset", fileName: "sw.js", source: source.trimStart() });
    },
  };
}

export default defineConfig({
  base: "./",
  // Packages written for loro-crdt work on this package's documents: one module in the page.
  resolve: { alias: aliases },
  // The development server would make a second copy of what it prepares.
  optimizeDeps: { exclude: ["corella", "loro-crdt"] },
  build: { target: "es2022", chunkSizeWarningLimit: 1000, rolldownOptions: { input: PAGES } },
  worker: { format: "es" },
  plugins: [shell(), serviceWorker()],
});
