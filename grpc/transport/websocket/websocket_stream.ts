import type { ByteStream } from "../byte_stream.ts";
import type { PeerIdentity } from "../peer_identity.ts";
import { CloseCode, closePayload, encodeFrame, Opcode } from "./frame.ts";
import { FrameDecoder, type WebSocketEvent } from "./frame_decoder.ts";

/** Pings that are answered in one connection before data comes again: no honest peer sends more. */
const MAX_PINGS_BETWEEN_DATA = 100;

/** One end of an open WebSocket as a byte stream; what is written leaves in one binary message per write. */
export class WebSocketByteStream implements ByteStream {
  readonly #stream: ByteStream;
  readonly #role: "client" | "server";
  readonly #decoder: FrameDecoder;
  #events: WebSocketEvent[];
  #pings = 0;
  #ended = false;
  #closeSent = false;
  /** Writes of two callers (data, and answers to pings) must not mix. */
  #writing: Promise<void> = Promise.resolve();

  /** Continues a connection whose handshake is done; `rest` came behind it. */
  constructor(stream: ByteStream, role: "client" | "server", rest: Uint8Array) {
    this.#stream = stream;
    this.#role = role;
    this.#decoder = new FrameDecoder(role === "server");
    this.#events = this.#decoder.receive(rest);
  }

  get peer(): string {
    return `ws:${this.#stream.peer}`;
  }

  get identity(): PeerIdentity | undefined {
    return this.#stream.identity;
  }

  async read(): Promise<Uint8Array | null> {
    while (!this.#ended) {
      const event = this.#events.shift();
      if (event === undefined) {
        const bytes = await this.#stream.read();
        if (bytes === null) this.#ended = true;
        else this.#events = this.#decoder.receive(bytes);
        continue;
      }
      switch (event.type) {
        case "data":
          this.#pings = 0;
          return event.bytes;
        case "ping":
          if (++this.#pings > MAX_PINGS_BETWEEN_DATA) {
            await this.#fail(CloseCode.POLICY_VIOLATION, "too many pings without data");
          } else await this.#send(Opcode.PONG, event.payload);
          break;
        case "close":
          this.#ended = true;
          break;
        case "failed":
          await this.#fail(event.code, event.reason);
      }
    }
    return null;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#closeSent) throw new Error("Cannot write to a WebSocket: it is closed");
    await this.#send(Opcode.BINARY, bytes);
  }

  async closeWrite(): Promise<void> {
    await this.#sendClose(CloseCode.NORMAL, "");
  }

  close(): void {
    this.#ended = true;
    this.#closeSent = true;
    this.#stream.close();
  }

  async #fail(code: CloseCode, reason: string): Promise<never> {
    this.#ended = true;
    try {
      await this.#sendClose(code, reason);
    } finally {
      this.#stream.close();
    }
    throw new Error(`the WebSocket failed: ${reason}`);
  }

  async #sendClose(code: CloseCode, reason: string): Promise<void> {
    if (this.#closeSent) return;
    this.#closeSent = true;
    await this.#send(Opcode.CLOSE, closePayload(code, reason));
    await this.#stream.closeWrite();
  }

  #send(opcode: number, payload: Uint8Array): Promise<void> {
    const mask = this.#role === "client" ? crypto.getRandomValues(new Uint8Array(4)) : undefined;
    const frame = encodeFrame(opcode, payload, mask);
    const sent = this.#writing.then(() => this.#stream.write(frame));
    this.#writing = sent.catch(() => {});
    return sent;
  }
}
