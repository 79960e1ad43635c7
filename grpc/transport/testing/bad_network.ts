import type { ByteStream, Connect, Listener } from "../byte_stream.ts";

/** Chance, 0 to 1, that is the same for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    // The low bits of such a generator hardly change.
    return (state >>> 8) / 2 ** 24;
  };
}

/** How many pieces of a late connection come late. */
const TROUBLED = 1 / 8;

/** What happens to the bytes of one stream that are read. */
export interface Trouble {
  /** Chance of each decision. */
  readonly random: () => number;
  /** Longest delay of a piece, in milliseconds; one in eight comes late and is cut at a random place. 0: none is. */
  readonly maxDelayMs: number;
  /** Bytes after which the connection breaks, in the middle of a piece where it falls there. */
  readonly breaksAfterBytes: number;
}

/** A stream over a bad network: bytes keep their order, as in TCP, but come late and in pieces, until the connection breaks. */
export function overBadNetwork(stream: ByteStream, trouble: Trouble): ByteStream {
  return new TroubledStream(stream, trouble);
}

/** A listener whose streams get trouble in what the server reads. */
export function listenOverBadNetwork(listener: Listener, trouble: () => Trouble): Listener {
  return {
    address: listener.address,
    async accept() {
      const stream = await listener.accept();
      return stream && overBadNetwork(stream, trouble());
    },
    close: () => listener.close(),
  };
}

/** Connections with trouble in what the client reads. */
export function connectOverBadNetwork(connect: Connect, trouble: () => Trouble): Connect {
  return async (signal) => overBadNetwork(await connect(signal), trouble());
}

class TroubledStream implements ByteStream {
  readonly peer: string;
  readonly #stream: ByteStream;
  readonly #trouble: Trouble;
  #rest: Uint8Array = new Uint8Array(0);
  #leftBytes: number;

  constructor(stream: ByteStream, trouble: Trouble) {
    this.peer = stream.peer;
    this.#stream = stream;
    this.#trouble = trouble;
    this.#leftBytes = trouble.breaksAfterBytes;
  }

  async read(): Promise<Uint8Array | null> {
    if (this.#leftBytes <= 0) {
      this.#stream.close();
      throw new Error("the network broke the connection");
    }
    const { random, maxDelayMs } = this.#trouble;
    const bytes = this.#rest.length > 0 ? this.#rest : await this.#stream.read();
    if (bytes === null) return null;
    let length = Math.min(bytes.length, this.#leftBytes);
    if (maxDelayMs > 0 && random() < TROUBLED) {
      // One cut in two is near the beginning, where the heads of frames are.
      const reach = random() < 0.5 ? Math.min(length, 16) : length;
      length = Math.max(1, Math.ceil(random() * reach));
      const delayMs = random() * maxDelayMs;
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
    this.#leftBytes -= length;
    this.#rest = bytes.subarray(length);
    return bytes.subarray(0, length);
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#stream.write(bytes);
  }

  closeWrite(): Promise<void> {
    return this.#stream.closeWrite();
  }

  close(): void {
    this.#stream.close();
  }
}
