/** An answer of Redis (RESP2); bulk strings are views on what was received. */
export type Reply = string | number | null | Uint8Array | Error | readonly Reply[];

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const READ_BYTES = 1 << 18;
const [CR, COLON, DOLLAR, STAR, PLUS, MINUS] = [13, 58, 36, 42, 43, 45];

/** One connection to a Redis; commands may be sent before earlier ones are answered. */
export class RespConnection implements Disposable {
  readonly #connection: Deno.TcpConn;
  readonly #waiting: { resolve(reply: Reply): void; reject(error: unknown): void }[] = [];
  #unsent: string[] = [];
  #writing: Promise<void> | undefined;
  #buffer = new Uint8Array(0);
  #at = 0;

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
      this.#append(piece.subarray(0, count));
      for (;;) {
        const begin = this.#at;
        const reply = this.#parse();
        if (reply === undefined) {
          this.#at = begin;
          break;
        }
        const waiting = this.#waiting.shift();
        if (reply instanceof Error) waiting?.reject(reply);
        else waiting?.resolve(reply);
      }
    }
  }

  #append(piece: Uint8Array<ArrayBuffer>): void {
    const rest = this.#buffer.length - this.#at;
    if (rest === 0) {
      this.#buffer = piece;
    } else {
      const joined = new Uint8Array(rest + piece.length);
      joined.set(this.#buffer.subarray(this.#at));
      joined.set(piece, rest);
      this.#buffer = joined;
    }
    this.#at = 0;
  }

  /** The next reply; undefined where it has not come as a whole. */
  #parse(): Reply | undefined {
    const end = this.#buffer.indexOf(CR, this.#at);
    if (end === -1 || end + 2 > this.#buffer.length) return undefined;
    const kind = this.#buffer[this.#at];
    const line = this.#buffer.subarray(this.#at + 1, end);
    this.#at = end + 2;
    switch (kind) {
      case PLUS:
        return decoder.decode(line);
      case MINUS:
        return new Error(decoder.decode(line));
      case COLON:
        return numberOf(line);
      case DOLLAR:
        return this.#parseBulk(numberOf(line));
      case STAR:
        return this.#parseArray(numberOf(line));
      default:
        throw new Error(`Redis sent a reply of kind ${kind}`);
    }
  }

  #parseBulk(length: number): Uint8Array | null | undefined {
    if (length < 0) return null;
    if (this.#at + length + 2 > this.#buffer.length) return undefined;
    const bytes = this.#buffer.subarray(this.#at, this.#at + length);
    this.#at += length + 2;
    return bytes;
  }

  #parseArray(length: number): readonly Reply[] | null | undefined {
    if (length < 0) return null;
    const replies: Reply[] = [];
    while (replies.length < length) {
      const reply = this.#parse();
      if (reply === undefined) return undefined;
      replies.push(reply);
    }
    return replies;
  }

  #fail(error: unknown): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

function numberOf(line: Uint8Array): number {
  let value = 0;
  for (const byte of line) if (byte !== MINUS) value = value * 10 + byte - 48;
  return line[0] === MINUS ? -value : value;
}
