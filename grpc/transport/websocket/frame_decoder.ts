import { applyMask, CloseCode, MAX_CONTROL_BYTES, Opcode } from "./frame.ts";

/** What the other end did. */
export type WebSocketEvent =
  /** Bytes of the stream; where messages and frames begin and end does not matter. */
  | { readonly type: "data"; readonly bytes: Uint8Array }
  | { readonly type: "ping"; readonly payload: Uint8Array }
  /** Nothing follows. */
  | { readonly type: "close" }
  /** It broke the protocol: the connection ends with this code. */
  | { readonly type: "failed"; readonly code: CloseCode; readonly reason: string };

/** A frame whose payload is being read. */
interface Frame {
  readonly opcode: number;
  readonly length: number;
  readonly mask: Uint8Array | undefined;
  /** Bytes of the payload that were read. */
  read: number;
  /** The payload of a control frame, which counts as a whole. */
  readonly control: Uint8Array | undefined;
}

const EMPTY = new Uint8Array(0);
const MAX_HEADER_BYTES = 14;

/**
 * Reads frames (RFC 6455 §5) that carry a byte stream in binary messages, however they are split. Payload is handed on as
 * it comes: no message is gathered, so none is too long.
 */
export class FrameDecoder {
  readonly #masked: boolean;
  /** Bytes of a header whose end has not come. */
  #header: Uint8Array = EMPTY;
  #frame: Frame | undefined;
  #inMessage = false;
  #over = false;

  /** `masked`: whether the other end must mask, as a client must and a server must not (RFC 6455 §5.1). */
  constructor(masked: boolean) {
    this.#masked = masked;
  }

  /** What follows from the next bytes, which are unmasked in place. Never throws; nothing follows "close" and "failed". */
  receive(bytes: Uint8Array): WebSocketEvent[] {
    const events: WebSocketEvent[] = [];
    let at = 0;
    while (!this.#over && (at < bytes.length || this.#frame?.length === 0)) {
      if (this.#frame === undefined) at = this.#readHeader(bytes, at, events);
      else at = this.#readPayload(this.#frame, bytes, at, events);
    }
    return events;
  }

  #readHeader(bytes: Uint8Array, at: number, events: WebSocketEvent[]): number {
    const before = this.#header.length;
    const header = new Uint8Array(Math.min(MAX_HEADER_BYTES, before + bytes.length - at));
    header.set(this.#header);
    header.set(bytes.subarray(at, at + header.length - before), before);
    const needed = headerBytes(header);
    if (needed === undefined || header.length < needed) {
      this.#header = header;
      return at + header.length - before;
    }
    this.#header = EMPTY;
    this.#begin(header.subarray(0, needed), events);
    return at + needed - before;
  }

  /** Checks a whole header (RFC 6455 §5.2) and begins its frame. */
  #begin(header: Uint8Array, events: WebSocketEvent[]): void {
    const [first = 0, second = 0] = header;
    const view = new DataView(header.buffer, header.byteOffset);
    const final = (first & 0x80) !== 0;
    const opcode = first & 0x0f;
    const isControl = opcode >= Opcode.CLOSE;
    const short = second & 0x7f;
    const length = short < 126 ? short : short === 126 ? view.getUint16(2) : Number(view.getBigUint64(2));
    const failed = (reason: string, code: CloseCode = CloseCode.PROTOCOL_ERROR) => {
      this.#over = true;
      events.push({ type: "failed", code, reason });
    };
    if ((first & 0x70) !== 0) return failed("a reserved bit is set, but no extension was agreed on");
    if (((second & 0x80) !== 0) !== this.#masked) {
      return failed(this.#masked ? "a client must mask its frames" : "a server must not mask its frames");
    }
    if (!Number.isSafeInteger(length)) return failed("a length has its highest bits set");
    if (isControl) {
      if (opcode > Opcode.PONG) return failed(`the opcode ${opcode} is reserved`);
      if (!final) return failed("a control frame is fragmented");
      if (length > MAX_CONTROL_BYTES) {
        return failed(`a control frame has ${length} bytes, limit is ${MAX_CONTROL_BYTES}`);
      }
    } else {
      if (opcode === Opcode.TEXT) return failed("only binary messages are taken", CloseCode.UNSUPPORTED_DATA);
      if (opcode > Opcode.BINARY) return failed(`the opcode ${opcode} is reserved`);
      if ((opcode === Opcode.CONTINUATION) !== this.#inMessage) {
        return failed(this.#inMessage ? "a message begins within another" : "a frame continues no message");
      }
      this.#inMessage = !final;
    }
    this.#frame = {
      opcode,
      length,
      mask: this.#masked ? header.slice(-4) : undefined,
      read: 0,
      control: isControl ? new Uint8Array(length) : undefined,
    };
  }

  #readPayload(frame: Frame, bytes: Uint8Array, at: number, events: WebSocketEvent[]): number {
    const end = Math.min(bytes.length, at + frame.length - frame.read);
    const payload = bytes.subarray(at, end);
    if (frame.mask !== undefined) applyMask(payload, frame.mask, frame.read);
    if (frame.control !== undefined) frame.control.set(payload, frame.read);
    else if (payload.length > 0) events.push({ type: "data", bytes: payload });
    frame.read += payload.length;
    if (frame.read === frame.length) {
      this.#frame = undefined;
      if (frame.opcode === Opcode.PING) events.push({ type: "ping", payload: frame.control ?? EMPTY });
      if (frame.opcode === Opcode.CLOSE) {
        this.#over = true;
        events.push({ type: "close" });
      }
    }
    return end;
  }
}

/** How long the header is that begins so; undefined where that can't be told yet. */
function headerBytes(header: Uint8Array): number | undefined {
  const second = header[1];
  if (second === undefined) return undefined;
  const short = second & 0x7f;
  return 2 + (short < 126 ? 0 : short === 126 ? 2 : 8) + ((second & 0x80) !== 0 ? 4 : 0);
}
