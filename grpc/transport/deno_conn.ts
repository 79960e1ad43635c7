import type { ByteStream, Listener } from "./byte_stream.ts";
import { ReadSlab } from "./read_slab.ts";

/** The part of a connection of Deno that is used here. */
interface DenoConn {
  read(room: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
}

/** A connection of Deno as a byte stream. */
export class DenoByteStream implements ByteStream {
  readonly peer: string;
  readonly #conn: DenoConn;
  readonly #slab = new ReadSlab();
  #closed = false;

  /** Wraps an open connection. */
  constructor(conn: DenoConn, peer: string) {
    this.#conn = conn;
    this.peer = peer;
  }

  /** Reads as {@linkcode ByteStream.read} says. */
  async read(): Promise<Uint8Array | null> {
    if (this.#closed) return null;
    try {
      const count = await this.#conn.read(this.#slab.room());
      return count === null || count === 0 ? null : this.#slab.filled(count);
    } catch (error) {
      if (this.#closed) return null;
      throw error;
    }
  }

  /** Writes as {@linkcode ByteStream.write} says. */
  async write(bytes: Uint8Array): Promise<void> {
    let written = await this.#conn.write(bytes);
    while (written < bytes.length) written += await this.#conn.write(bytes.subarray(written));
  }

  /** Ends our direction. */
  async closeWrite(): Promise<void> {
    await this.#conn.closeWrite();
  }

  /** Ends both directions. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#conn.close();
    } catch {
      // The runtime closed it first, after an error that read() or write() reported.
    }
  }
}

/** The part of a listener of Deno that is used here. */
interface DenoListener<Conn> {
  accept(): Promise<Conn>;
  close(): void;
}

/** After an error of accept() that is not the listener's end (too many open files), the next try waits this long. */
const ACCEPT_RETRY_MS = 100;

/** A listener of Deno. `open` makes a byte stream of each connection. */
export class DenoListenerAdapter<Conn> implements Listener {
  readonly address: string;
  readonly #listener: DenoListener<Conn>;
  readonly #open: (conn: Conn) => ByteStream;
  readonly #onClose: () => void;
  readonly #closed = new AbortController();

  /** Wraps an open listener; `onClose` is called once when it is closed. */
  constructor(
    listener: DenoListener<Conn>,
    address: string,
    open: (conn: Conn) => ByteStream,
    onClose: () => void = () => {},
  ) {
    this.#listener = listener;
    this.#onClose = onClose;
    this.address = address;
    this.#open = open;
  }

  /** Accepts as {@linkcode Listener.accept} says. */
  async accept(): Promise<ByteStream | null> {
    while (!this.#closed.signal.aborted) {
      try {
        return this.#open(await this.#listener.accept());
      } catch {
        // Either close() ended the wait, or this one connection failed (reset before it was accepted, no descriptor
        // left): the listener itself goes on.
        if (!this.#closed.signal.aborted) {
          await new Promise((resolve) => setTimeout(resolve, ACCEPT_RETRY_MS));
        }
      }
    }
    return null;
  }

  /** Takes no more connections. */
  close(): void {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    this.#listener.close();
    this.#onClose();
  }
}
