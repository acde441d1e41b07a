// The real hub, started for a test on a free port with a data folder of its own.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "../..");
const binary = [process.env.CORELLA_HUB, join(root, "target/release/corella-hub"), join(root, "target/debug/corella-hub")].find(
  (path) => path && existsSync(path),
);

export class Hub {
  #process: ChildProcess | undefined;
  #data = mkdtempSync(join(tmpdir(), "corella-e2e-"));
  port = 0;

  static async start(): Promise<Hub> {
    const hub = new Hub();
    await hub.start();
    return hub;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  /** Starts it, on the port it had. */
  async start(): Promise<void> {
    if (!binary) throw new Error("the hub is not built: make hub");
    const args = ["--listen", `127.0.0.1:${this.port}`, "--data", this.#data, "--www", join(root, "www/dist"), "--log", "warn"];
    const process = spawn(binary, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#process = process;
    this.port = await new Promise<number>((resolve, reject) => {
      let out = "";
      process.stdout?.on("data", (chunk: Buffer) => {
        out += chunk.toString();
        const found = /127\.0\.0\.1:(\d+)/.exec(out);
        if (found) resolve(Number(found[1]));
      });
      process.on("exit", (code) => reject(new Error(`the hub ended with ${code}: ${out}`)));
    });
  }

  /** Kills it as a power cut would. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
    rmSync(this.#data, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const process = this.#process;
    if (!process || process.exitCode !== null || process.signalCode !== null) return;
    const ended = new Promise((resolve) => process.once("exit", resolve));
    process.kill(signal);
    await ended;
  }
}
