import { createHash } from "node:crypto";
import { defineConfig, type Plugin } from "vite";

/** Emits the service worker with the list of everything the page is made of; its version is their content. */
function serviceWorker(): Plugin {
  return {
    name: "service-worker",
    apply: "build",
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

// The page first from the network, so that a new version is seen at once; from the cache when the hub is away.
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin) return;
  if (event.request.mode === "navigate") {
    event.respondWith(fetch(event.request).catch(() => caches.match("./")));
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
  build: { target: "es2022", chunkSizeWarningLimit: 1000 },
  plugins: [serviceWorker()],
});
