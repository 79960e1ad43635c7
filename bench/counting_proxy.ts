/** A TCP proxy that counts the bytes that pass, and can be shut. */
export class CountingProxy implements AsyncDisposable {
  /** What to connect to. */
  readonly address: string;
  /** Bytes that passed, both ways. */
  bytes = 0;
  /** When the newest connection came, by `performance.now`. */
  lastConnectionMs = 0;
  readonly #listener: Deno.TcpListener;
  readonly #target: { readonly hostname: string; readonly port: number };
  readonly #open = new Set<Deno.TcpConn>();
  #shut = false;

  /** A proxy to "host:port". */
  constructor(target: string) {
    const url = new URL(`http://${target}`);
    this.#target = { hostname: url.hostname, port: Number(url.port) };
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.address = `127.0.0.1:${this.#listener.addr.port}`;
    void this.#accept();
  }

  /** Closes all connections and lets nobody through until it is opened. */
  shut(): void {
    this.#shut = true;
    for (const conn of this.#open) conn.close();
    this.#open.clear();
  }

  open(): void {
    this.#shut = false;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.shut();
    this.#listener.close();
    return Promise.resolve();
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      if (this.#shut) {
        client.close();
        continue;
      }
      this.lastConnectionMs = performance.now();
      const server = await Deno.connect(this.#target);
      for (const conn of [client, server]) {
        conn.setNoDelay(true);
        this.#open.add(conn);
      }
      void this.#pump(client, server);
      void this.#pump(server, client);
    }
  }

  async #pump(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
        this.bytes += count;
        for (let at = 0; at < count;) at += await to.write(buffer.subarray(at, count));
      }
    } catch {
      // One of them is gone, and so is the other.
    }
    for (const conn of [from, to]) if (this.#open.delete(conn)) conn.close();
  }
}
