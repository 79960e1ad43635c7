import type { ByteStream } from "./byte_stream.ts";

/** The first octets of a TLS alert (RFC 8446, 5.1): what a TLS server answers to plain text. */
const ALERT = 21;
const MAJOR_VERSION = 3;

/** A client's stream without TLS that says so where the server turns out to speak TLS. */
export class PlainClientStream implements ByteStream {
  readonly peer: string;
  readonly #stream: ByteStream;
  #heard = false;
  #firstRead: Promise<Uint8Array | null> | undefined;

  /** Wraps a stream that nothing was read from. */
  constructor(stream: ByteStream) {
    this.#stream = stream;
    this.peer = stream.peer;
  }

  /** Reads as {@linkcode ByteStream.read} says. */
  read(): Promise<Uint8Array | null> {
    return this.#heard ? this.#stream.read() : this.#firstRead = this.#readFirst();
  }

  /** Writes as {@linkcode ByteStream.write} says. */
  write(bytes: Uint8Array): Promise<void> {
    return this.#heard ? this.#stream.write(bytes) : this.#writeUnheard(bytes);
  }

  /** Ends our direction. */
  closeWrite(): Promise<void> {
    return this.#stream.closeWrite();
  }

  /** Ends both directions. */
  close(): void {
    this.#stream.close();
  }

  /** A TLS server says its word and goes away: who heard first that a write failed would close and never read it. */
  async #writeUnheard(bytes: Uint8Array): Promise<void> {
    try {
      await this.#stream.write(bytes);
    } catch (error) {
      try {
        await this.#firstRead;
      } catch {
        // The reader hears of it.
      }
      throw error;
    }
  }

  async #readFirst(): Promise<Uint8Array | null> {
    const bytes = await this.#stream.read();
    this.#heard = true;
    if (bytes?.[0] !== ALERT || bytes[1] !== MAJOR_VERSION) return bytes;
    const { TlsConnectError } = await import("./tls_connect_error.ts");
    throw new TlsConnectError("tls_only");
  }
}
