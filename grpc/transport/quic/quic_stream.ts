import type { ByteStream } from "../byte_stream.ts";

/**
 * Milliseconds that a closed stream has to deliver what was written before, and its end. Closing the connection at once
 * would take with it what is under way.
 */
const LINGER_MS = 1_000;
/** Bytes of a closed stream that are read and thrown away while it waits for the other end. */
const MAX_DISCARDED_BYTES = 1_048_576;

/** The one stream of a QUIC connection as a byte stream. */
export class QuicByteStream implements ByteStream {
  readonly peer: string;
  readonly #conn: Deno.QuicConn;
  readonly #role: "client" | "server";
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #closed = false;
  #ended = false;
  #writeClosed: Promise<void> | undefined;
  #cancelRead: (() => void) | undefined;

  /** Wraps an open stream; it closes the connection with it. */
  constructor(
    conn: Deno.QuicConn,
    stream: Deno.QuicBidirectionalStream,
    role: "client" | "server",
    peer: string,
  ) {
    this.#conn = conn;
    this.#role = role;
    this.#reader = stream.readable.getReader();
    this.#writer = stream.writable.getWriter();
    // What breaks the writer is told by the write that it breaks.
    this.#writer.closed.catch(() => {});
    this.peer = peer;
  }

  /** Reads as {@linkcode ByteStream.read} says. */
  read(): Promise<Uint8Array | null> {
    if (this.#closed) return Promise.resolve(null);
    return new Promise((resolve, reject) => {
      this.#cancelRead = () => resolve(null);
      this.#receive().then(resolve, (error) => this.#closed ? resolve(null) : reject(error));
    });
  }

  /** Writes as {@linkcode ByteStream.write} says. */
  async write(bytes: Uint8Array): Promise<void> {
    // The runtime takes an empty write for the stream's end.
    if (bytes.length > 0) await this.#writer.write(bytes);
  }

  /** Ends our direction. */
  closeWrite(): Promise<void> {
    return this.#writeClosed ??= this.#writer.close();
  }

  /** Ends both directions; what was written before is still delivered, if the other end takes it soon. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    void this.#linger();
    this.#cancelRead?.();
  }

  async #receive(): Promise<Uint8Array | null> {
    try {
      const { value } = await this.#reader.read();
      if (value === undefined) this.#ended = true;
      return value ?? null;
    } catch (error) {
      this.#ended = true;
      // Rejects with the reason where the connection broke; otherwise the other end closed it.
      const { closeCode, reason } = await this.#conn.closed;
      if (closeCode === 0) return null;
      throw new Error(`the other end closed the QUIC connection with code ${closeCode}: ${reason}`, {
        cause: error,
      });
    }
  }

  /** Closes the connection when the other end has ended too: a client at once, a server when the client did. */
  async #linger(): Promise<void> {
    const timer = setTimeout(() => this.#conn.close(), LINGER_MS);
    try {
      // Where it waits for a full window, the timer ends it.
      this.closeWrite().catch(() => {});
      for (let discarded = 0; !this.#ended && discarded < MAX_DISCARDED_BYTES;) {
        discarded += (await this.#receive())?.length ?? 0;
      }
      if (this.#role === "client" || !this.#ended) this.#conn.close();
      await this.#conn.closed;
    } catch {
      // It broke: that is an end as well.
    } finally {
      clearTimeout(timer);
    }
  }
}
