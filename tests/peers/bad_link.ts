import net from "node:net";

/** A TCP link to a daemon that can be cut, can swallow everything without a word, and can be healed. */
export class BadLink implements AsyncDisposable {
  /** What to connect to. */
  readonly address: string;
  /** Bytes that have passed, both ways. */
  passed = 0;
  readonly #server: net.Server;
  readonly #pairs = new Set<readonly [net.Socket, net.Socket]>();
  #state: "whole" | "cut" | "silent" = "whole";
  /** Bytes of the daemon that still pass. */
  #left = Infinity;

  private constructor(server: net.Server, port: number, target: number) {
    this.#server = server;
    this.address = `127.0.0.1:${port}`;
    server.on("connection", (socket) => this.#connect(socket, target));
  }

  /** A link to "127.0.0.1:port". */
  static async to(address: string): Promise<BadLink> {
    const server = net.createServer({ pauseOnConnect: true, noDelay: true });
    const port = await new Promise<number>((resolve, reject) => {
      server.on("error", reject);
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        if (address !== null && typeof address === "object") resolve(address.port);
      });
    });
    return new BadLink(server, port, Number(address.split(":")[1]));
  }

  /** Resets every connection, and each that is made, until it is healed. */
  cut(): void {
    this.#state = "cut";
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  /** Takes everything and passes on nothing, until it is healed; nobody is told. */
  fallSilent(): void {
    this.#state = "silent";
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  /** Passes everything on again, what it kept back too. */
  heal(): void {
    this.#state = "whole";
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  /** From now on only so many bytes of the daemon pass; what comes after them gets lost. */
  allow(bytes: number): void {
    this.#left = bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #connect(client: net.Socket, target: number): void {
    client.on("error", () => {}); // whoever reads hears of it
    if (this.#state === "cut") return void client.resetAndDestroy();
    const server = net.connect({ host: "127.0.0.1", port: target, noDelay: true });
    server.pause();
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    for (const [from, to] of [[client, server], [server, client]] as const) {
      from.on("data", (bytes) => {
        const passing = from === server ? bytes.slice(0, this.#left) : bytes;
        if (from === server) this.#left -= passing.length;
        this.passed += passing.length;
        if (passing.length === 0 || to.write(passing)) return;
        from.pause();
        to.once("drain", () => this.#state === "whole" && from.resume());
      });
      from.on("error", () => {});
      from.on("close", () => {
        to.destroy();
        this.#pairs.delete(pair);
      });
    }
    if (this.#state === "whole") { for (const socket of pair) socket.resume(); }
  }
}
