// An origin that serves the package from a static server, and a wire to the hub that counts.
import { createReadStream, existsSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { connect, createServer as createWire, type AddressInfo, type Server as WireServer, type Socket } from "node:net";
import { extname, join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "../..");
const types: Record<string, string> = { ".js": "text/javascript", ".wasm": "application/wasm", ".html": "text/html" };

const listening = (server: Server | WireServer) => new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
const portOf = (server: Server | WireServer) => (server.address() as AddressInfo).port;

export class Site {
  #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<Site> {
    const server = createServer((request, response) => {
      const path = new URL(request.url ?? "/", "http://localhost").pathname;
      if (path === "/") return void response.setHeader("content-type", "text/html").end("<!doctype html><title>static</title>");
      const file = join(root, path);
      if (!path.startsWith("/pkg/") || !existsSync(file)) return void response.writeHead(404).end();
      response.setHeader("content-type", types[extname(file)] ?? "application/octet-stream");
      createReadStream(file).pipe(response);
    });
    await listening(server);
    return new Site(server);
  }

  get origin(): string {
    return `http://127.0.0.1:${portOf(this.#server)}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** Passes connections on to the hub. */
export class Wire {
  #server: WireServer;
  #open = new Set<Socket>();
  /** Connections there ever were. */
  made = 0;
  /** Bytes clients have sent. */
  bytes = 0;

  private constructor(server: WireServer) {
    this.#server = server;
  }

  static async to(port: number): Promise<Wire> {
    const server = createWire();
    const wire = new Wire(server);
    server.on("connection", (near) => {
      wire.made += 1;
      wire.#open.add(near);
      const far = connect(port, "127.0.0.1");
      near.on("data", (chunk) => (wire.bytes += chunk.length));
      near.pipe(far).pipe(near);
      for (const [end, other] of [
        [near, far],
        [far, near],
      ] as const) {
        end.on("error", () => other.destroy());
        end.on("close", () => other.destroy());
      }
      near.on("close", () => wire.#open.delete(near));
    });
    await listening(server);
    return wire;
  }

  get url(): string {
    return `ws://127.0.0.1:${portOf(this.#server)}/ws`;
  }

  /** Connections there are now. */
  get open(): number {
    return this.#open.size;
  }

  /** Breaks every connection. */
  cut(): void {
    for (const socket of this.#open) socket.destroy();
  }

  stop(): void {
    this.#server.close();
    this.cut();
  }
}
