import type { ByteStream, Connect, Listener } from "./byte_stream.ts";

/** Bytes that one direction holds before `write` waits, like a socket's buffer. */
const PIPE_BYTES = 65_536;
/** Bytes after which a reader lets the event loop turn: two busy ends in one process would starve timers and sockets. */
const TURN_BYTES = 262_144;

/** One direction of a connection in memory. */
class Pipe {
  readonly #pieces: Uint8Array[] = [];
  #bytes = 0;
  #ended = false;
  #broken = false;
  #bytesThisTurn = 0;
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;

  async write(bytes: Uint8Array): Promise<void> {
    while (!this.#broken && !this.#ended && this.#bytes >= PIPE_BYTES) {
      await new Promise<void>((resolve) => this.#wakeWriter = resolve);
    }
    if (this.#broken || this.#ended) throw new Error("Cannot write to a memory stream: it is closed");
    if (bytes.length === 0) return;
    // The writer may reuse its array as soon as this settles.
    this.#pieces.push(bytes.slice());
    this.#bytes += bytes.length;
    this.#wake();
  }

  async read(): Promise<Uint8Array | null> {
    while (this.#pieces.length === 0 && !this.#ended && !this.#broken) {
      await new Promise<void>((resolve) => this.#wakeReader = resolve);
    }
    const piece = this.#broken ? undefined : this.#pieces.shift();
    if (piece === undefined) return null;
    this.#bytes -= piece.length;
    this.#bytesThisTurn += piece.length;
    this.#wake();
    if (this.#bytesThisTurn >= TURN_BYTES) {
      this.#bytesThisTurn = 0;
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    return piece;
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  break(): void {
    this.#broken = true;
    this.#wake();
  }

  #wake(): void {
    this.#wakeReader?.();
    this.#wakeWriter?.();
    this.#wakeReader = undefined;
    this.#wakeWriter = undefined;
  }
}

class MemoryByteStream implements ByteStream {
  readonly peer = "memory";
  readonly #in: Pipe;
  readonly #out: Pipe;

  constructor(incoming: Pipe, outgoing: Pipe) {
    this.#in = incoming;
    this.#out = outgoing;
  }

  read(): Promise<Uint8Array | null> {
    return this.#in.read();
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#out.write(bytes);
  }

  closeWrite(): Promise<void> {
    this.#out.end();
    return Promise.resolve();
  }

  close(): void {
    // What was written before stays readable at the other end, as with a socket.
    this.#out.end();
    this.#in.break();
  }
}

/** Both ends of a connection within the process. */
export function memoryPipe(): [ByteStream, ByteStream] {
  const there = new Pipe();
  const back = new Pipe();
  return [new MemoryByteStream(back, there), new MemoryByteStream(there, back)];
}

/** A listener within the process, for embedding and tests: `connect` reaches it. */
export function listenMemory(): Listener & { readonly connect: Connect } {
  const waiting: ByteStream[] = [];
  let closed = false;
  let wake: (() => void) | undefined;
  return {
    address: "memory",
    async accept() {
      while (waiting.length === 0 && !closed) await new Promise<void>((resolve) => wake = resolve);
      return waiting.shift() ?? null;
    },
    close() {
      closed = true;
      wake?.();
    },
    connect() {
      if (closed) return Promise.reject(new Error("Cannot connect in memory: the listener is closed"));
      const [ours, theirs] = memoryPipe();
      waiting.push(theirs);
      wake?.();
      return Promise.resolve(ours);
    },
  };
}
