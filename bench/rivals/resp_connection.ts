import { type Reply, RespParser } from "./resp_parser.ts";

const encoder = new TextEncoder();
const READ_BYTES = 1 << 18;

/** One connection to a Redis; commands may be sent before earlier ones are answered. */
export class RespConnection implements Disposable {
  readonly #connection: Deno.TcpConn;
  readonly #waiting: { resolve(reply: Reply): void; reject(error: unknown): void }[] = [];
  #unsent: string[] = [];
  #writing: Promise<void> | undefined;
  readonly #parser = new RespParser();

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
    connection.setNoDelay(true);
    this.#read().catch((error) => this.#fail(error));
  }

  /** Connects to the loopback. */
  static async connect(port: number): Promise<RespConnection> {
    return new RespConnection(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  /** Sends a command. Rejects where Redis answers with an error. */
  call(...words: readonly string[]): Promise<Reply> {
    this.#unsent.push(
      `*${words.length}\r\n`,
      ...words.map((word) => `$${encoder.encode(word).length}\r\n${word}\r\n`),
    );
    this.#writing ??= this.#write();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }

  async #write(): Promise<void> {
    // What is called in the same turn leaves in one write.
    await Promise.resolve();
    try {
      while (this.#unsent.length > 0) {
        const bytes = encoder.encode(this.#unsent.join(""));
        this.#unsent = [];
        for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#writing = undefined;
  }

  async #read(): Promise<void> {
    for (;;) {
      const piece = new Uint8Array(READ_BYTES);
      const count = await this.#connection.read(piece);
      if (count === null) throw new Error("Redis closed the connection");
      for (const reply of this.#parser.push(piece.subarray(0, count))) {
        const waiting = this.#waiting.shift();
        if (reply instanceof Error) waiting?.reject(reply);
        else waiting?.resolve(reply);
      }
    }
  }

  #fail(error: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
