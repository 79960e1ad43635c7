import { type Clock, systemClock } from "../../clock.ts";
import type { ByteStream, Listener } from "../byte_stream.ts";
import {
  acceptance,
  checkRequest,
  type Head,
  headEnd,
  MAX_HEAD_BYTES,
  parseHead,
  refusalText,
} from "./handshake.ts";
import { WebSocketByteStream } from "./websocket_stream.ts";

/** How a WebSocket listener behaves where the defaults do not fit. */
export interface WebSocketListenOptions {
  /**
   * Origins of the pages that browsers may connect from, such as "https://app.example"; "*" is every page. Default: none,
   * because a browser lets every page that somebody visits connect to a server on their machine. Programs that are no
   * browser say no origin and are not asked.
   */
  readonly origins?: readonly string[];
  /** Milliseconds that a handshake may take; default 10,000. */
  readonly handshakeTimeoutMs?: number;
  /** Handshakes under way at once; when one more comes, the oldest gives way. Default 1,024. */
  readonly maxHandshakes?: number;
  /** Its time; the runtime's where none is given. */
  readonly clock?: Clock;
}

const DEFAULT_HANDSHAKE_TIMEOUT_MS = 10_000;
const DEFAULT_MAX_HANDSHAKES = 1_024;

/** Takes WebSockets (RFC 6455) on the connections of another listener, of any kind. No handshake holds up another. */
export function listenWebSocket(listener: Listener, options: WebSocketListenOptions = {}): Listener {
  return new WebSocketListener(listener, options);
}

class WebSocketListener implements Listener {
  readonly address: string;
  readonly #listener: Listener;
  readonly #origins: ReadonlySet<string>;
  readonly #timeoutMs: number;
  readonly #maxHandshakes: number;
  readonly #clock: Clock;
  readonly #ready: ByteStream[] = [];
  /** Under way, the oldest first. */
  readonly #handshakes = new Set<ByteStream>();
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(listener: Listener, options: WebSocketListenOptions) {
    this.#listener = listener;
    const { address } = listener;
    this.address = address.startsWith("https://")
      ? `wss://${address.slice("https://".length)}`
      : `ws://${address}`;
    this.#origins = new Set(options.origins);
    this.#timeoutMs = options.handshakeTimeoutMs ?? DEFAULT_HANDSHAKE_TIMEOUT_MS;
    this.#maxHandshakes = options.maxHandshakes ?? DEFAULT_MAX_HANDSHAKES;
    this.#clock = options.clock ?? systemClock;
    void this.#run(); // ends with the listener
  }

  async accept(): Promise<ByteStream | null> {
    while (this.#ready.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return this.#ready.shift() ?? null;
  }

  close(): void {
    this.#listener.close();
  }

  async #run(): Promise<void> {
    for (
      let stream = await this.#listener.accept();
      stream !== null;
      stream = await this.#listener.accept()
    ) {
      const [oldest] = this.#handshakes;
      if (this.#handshakes.size >= this.#maxHandshakes && oldest !== undefined) {
        this.#handshakes.delete(oldest);
        oldest.close();
      }
      void this.#shake(stream);
    }
    this.#ended = true;
    for (const stream of this.#ready.splice(0)) stream.close();
    this.#wake?.();
  }

  async #shake(stream: ByteStream): Promise<void> {
    this.#handshakes.add(stream);
    const cancel = this.#clock.after(this.#timeoutMs, () => stream.close());
    try {
      const webSocket = await this.#upgrade(stream);
      if (webSocket === undefined || this.#ended) return stream.close();
      this.#ready.push(webSocket);
      this.#wake?.();
    } catch {
      // The client is gone, or was too slow: there is nobody to tell.
      stream.close();
    } finally {
      cancel();
      this.#handshakes.delete(stream);
    }
  }

  async #upgrade(stream: ByteStream): Promise<ByteStream | undefined> {
    const found = await readHead(stream);
    const request = found?.head === undefined
      ? {
        status: "400 Bad Request",
        reason: "this is a WebSocket: send an HTTP/1.1 request of at most 16 KiB",
      }
      : checkRequest(found.head, (origin) => this.#origins.has("*") || this.#origins.has(origin));
    const encoder = new TextEncoder();
    if (found === undefined || !("key" in request)) {
      if ("status" in request) await stream.write(encoder.encode(refusalText(request)));
      await stream.closeWrite();
      return undefined;
    }
    await stream.write(encoder.encode(await acceptance(request.key)));
    return new WebSocketByteStream(stream, "server", found.rest);
  }
}

/** The head at the beginning of a stream, and what came behind it; undefined where it ends before or is too long. */
export async function readHead(
  stream: ByteStream,
): Promise<{ head: Head | undefined; rest: Uint8Array } | undefined> {
  let bytes = new Uint8Array(0);
  while (bytes.length < MAX_HEAD_BYTES) {
    const piece = await stream.read();
    if (piece === null) return undefined;
    const longer = new Uint8Array(bytes.length + piece.length);
    longer.set(bytes);
    longer.set(piece, bytes.length);
    bytes = longer;
    const end = headEnd(bytes);
    if (end >= 0) return { head: parseHead(bytes.subarray(0, end)), rest: bytes.subarray(end) };
  }
  return { head: undefined, rest: bytes };
}
