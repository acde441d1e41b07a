// Joins two repos in one Node process: sockets opened for the same address in turn are two ends of one connection. Each end hears
// "ready" from it as from a hub.
const waiting = new Map();

export class SocketPair extends EventTarget {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSING = 2;
  static CLOSED = 3;
  readyState = SocketPair.CONNECTING;
  #other;

  constructor(url) {
    super();
    this.url = url;
    const other = waiting.get(url);
    if (other) {
      waiting.delete(url);
      [this.#other, other.#other] = [other, this];
      for (const end of [other, this]) end.#soon(() => end.#open());
    } else {
      waiting.set(url, this);
    }
  }

  send(data) {
    if (data === "ping") return this.#hear("pong");
    // The module's memory is lent for the call only.
    const bytes = data.slice().buffer;
    this.#other?.#hear(bytes);
  }

  close() {
    if (waiting.get(this.url) === this) waiting.delete(this.url);
    for (const end of [this, this.#other]) end?.#soon(() => end.#end());
  }

  #open() {
    if (this.readyState !== SocketPair.CONNECTING) return;
    this.readyState = SocketPair.OPEN;
    this.dispatchEvent(new Event("open"));
    this.#hear("ready");
  }

  #hear(data) {
    this.#soon(() => {
      if (this.readyState === SocketPair.OPEN) this.dispatchEvent(new MessageEvent("message", { data }));
    });
  }

  #end() {
    if (this.readyState === SocketPair.CLOSED) return;
    this.readyState = SocketPair.CLOSED;
    this.dispatchEvent(Object.assign(new Event("close"), { code: 1000, reason: "" }));
  }

  #soon(work) {
    setTimeout(work, 0);
  }
}
