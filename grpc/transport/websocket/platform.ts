import type { ByteStream, Connect } from "../byte_stream.ts";

/** Bytes that the platform may hold before `write` waits. */
const MAX_BUFFERED_BYTES = 262_144;
/** The platform tells nobody when its buffer has emptied: this often it is asked. */
const POLL_MS = 4;
const NORMAL_CLOSURE = 1000;

/** Connects through the platform's own WebSocket, which is all that browsers have. `url` begins with ws:// or wss://. */
export function connectPlatformWebSocket(url: string): Connect {
  return (signal) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(url);
      socket.binaryType = "arraybuffer";
      const fail = (reason: unknown) => {
        signal?.removeEventListener("abort", cancel);
        socket.close();
        reject(reason);
      };
      const cancel = () => fail(signal?.reason);
      signal?.addEventListener("abort", cancel, { once: true });
      // The platform says no reason, so that a page can't look around in its visitor's network.
      socket.onerror = () => fail(new Error("the WebSocket could not be opened"));
      socket.onopen = () => {
        signal?.removeEventListener("abort", cancel);
        resolve(new PlatformWebSocketStream(socket, url));
      };
    });
}

class PlatformWebSocketStream implements ByteStream {
  readonly peer: string;
  readonly #socket: WebSocket;
  readonly #pieces: Uint8Array[] = [];
  #ended = false;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(socket: WebSocket, url: string) {
    this.#socket = socket;
    this.peer = url;
    socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) this.#pieces.push(new Uint8Array(data));
      this.#wake?.();
    };
    socket.onerror = socket.onclose = () => {
      this.#ended = true;
      this.#wake?.();
    };
  }

  async read(): Promise<Uint8Array | null> {
    while (this.#pieces.length === 0 && !this.#ended && !this.#closed) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return this.#closed ? null : this.#pieces.shift() ?? null;
  }

  async write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.#socket.readyState !== WebSocket.OPEN) {
      throw new Error("Cannot write to a WebSocket: it is closed");
    }
    this.#socket.send(bytes);
    while (this.#socket.bufferedAmount > MAX_BUFFERED_BYTES && this.#socket.readyState === WebSocket.OPEN) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  closeWrite(): Promise<void> {
    this.#socket.close(NORMAL_CLOSURE);
    return Promise.resolve();
  }

  close(): void {
    this.#closed = true;
    this.#wake?.();
    this.#socket.close(NORMAL_CLOSURE);
  }
}
