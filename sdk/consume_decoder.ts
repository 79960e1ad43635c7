import { fromBinary } from "@bufbuild/protobuf";
import { ConsumeLogSchema } from "@msgbus/proto/stream";
import { MsgbusError } from "./error.ts";
import { numberFromWire } from "./head_number.ts";
import { Message } from "./message.ts";
import { type NodeId, nodeIdOf } from "./node_id.ts";

/** Tags of ConsumeResponse: field number × 8 + wire type. */
const LOGS = 0x0a;
const BATCHES = 0x12;
const CURSOR = 0x1a;
const CAUGHT_UP = 0x20;
/** Tags of ConsumeBatch. */
const BATCH_LOG = 0x08;
const MESSAGES = 0x12;
const FIRST_HEAD_ID = 0x18;
/** Tags of StreamedMessage. */
const UUID = 0x0a;
const ID = 0x12;
const PAYLOAD = 0x2a;
const HEADERS = 0x32;
const CREATED_AT_MS = 0x38;
const DELETED = 0x40;
/** Tags of an entry of headers. */
const NAME = 0x0a;
const VALUE = 0x12;

const UUID_BYTES = 16;
const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** What a daemon sent to a consumer. */
export interface ConsumedBatch {
  readonly messages: readonly Message[];
  /** Payload and header bytes as they count against the credit. */
  readonly bytes: number;
  /** The place behind the messages; "" where the daemon says none. */
  readonly cursor: string;
  /** Nothing that was stored by then comes behind them. */
  readonly caughtUp: boolean;
}

/** A log of the call. */
interface Log {
  readonly topic: string;
  readonly origin: NodeId;
}

/**
 * Reads the answers of one call of Consume. By hand, because every message passes here: payloads stay where they are,
 * ids and headers' texts are made as they are asked for or once per log. `consume_decoder_test.ts` holds it against the
 * generated code. Throws MsgbusError DATA_LOSS for bytes that are no answer.
 */
export class ConsumeDecoder {
  readonly #logs = new Map<number, Log>();
  #wire: Uint8Array = new Uint8Array();
  #at = 0;
  #end = 0;
  #bytes = 0;

  /** The bytes must not change later. */
  decode(wire: Uint8Array): ConsumedBatch {
    this.#wire = wire;
    this.#at = 0;
    this.#end = wire.length;
    this.#bytes = 0;
    const messages: Message[] = [];
    let cursor = "";
    let caughtUp = false;
    while (this.#at < wire.length) {
      const tag = this.#varint();
      switch (tag) {
        case LOGS: {
          const { log, topic, origin } = fromBinary(ConsumeLogSchema, this.#field());
          this.#logs.set(numberFromWire(log), { topic, origin: nodeIdOf(origin) });
          break;
        }
        case BATCHES: {
          const end = this.#length();
          this.#batch(end, messages);
          this.#end = wire.length;
          this.#at = end;
          break;
        }
        case CURSOR:
          cursor = decoder.decode(this.#field());
          break;
        case CAUGHT_UP:
          caughtUp = this.#varint() !== 0;
          break;
        default:
          this.#skip(tag);
      }
    }
    return { messages, bytes: this.#bytes, cursor, caughtUp };
  }

  #batch(end: number, messages: Message[]): void {
    const from = this.#at;
    this.#end = end;
    let number = 0;
    let firstHeadId = 0;
    while (this.#at < end) {
      const tag = this.#varint();
      if (tag === BATCH_LOG) number = this.#varint();
      else if (tag === FIRST_HEAD_ID) firstHeadId = this.#varint();
      else this.#skip(tag);
    }
    const log = this.#logs.get(number);
    if (log === undefined) throw damaged("a batch is of a log that was not named");
    this.#at = from;
    let uuid: Uint8Array | undefined;
    let plus = 0;
    for (let headId = firstHeadId; this.#at < end;) {
      const tag = this.#varint();
      if (tag !== MESSAGES) {
        this.#skip(tag);
        continue;
      }
      const next = this.#length();
      this.#end = next;
      let idFrom = -1, idTo = -1, payloadFrom = 0, payloadTo = 0, createdAtMs = -1;
      let deleted = false;
      let headers: Record<string, string> | undefined;
      plus++;
      while (this.#at < next) {
        const field = this.#varint();
        switch (field) {
          case UUID:
            uuid = this.#field();
            if (uuid.length !== UUID_BYTES) throw damaged("a UUID has not 16 bytes");
            plus = 0;
            break;
          case ID:
            idTo = this.#length();
            idFrom = this.#at;
            this.#at = idTo;
            break;
          case PAYLOAD:
            payloadTo = this.#length();
            payloadFrom = this.#at;
            this.#at = payloadTo;
            this.#bytes += payloadTo - payloadFrom;
            break;
          case HEADERS:
            this.#header(headers ??= {});
            break;
          case CREATED_AT_MS:
            createdAtMs = this.#varint();
            break;
          case DELETED:
            deleted = this.#varint() !== 0;
            break;
          default:
            this.#skip(field);
        }
      }
      this.#end = end;
      if (idFrom >= 0) uuid = undefined;
      else if (uuid === undefined) throw damaged("a message has no id");
      messages.push(
        new Message(
          this.#wire,
          idFrom,
          idTo,
          payloadFrom,
          payloadTo,
          log.topic,
          log.origin,
          headId++,
          createdAtMs >= 0 ? createdAtMs : timeOf(uuid),
          deleted,
          headers ?? NO_HEADERS,
          uuid,
          plus,
        ),
      );
    }
  }

  #header(headers: Record<string, string>): void {
    const start = this.#at;
    const end = this.#length();
    let name = "";
    let value = "";
    while (this.#at < end) {
      const tag = this.#varint();
      if (tag === NAME) name = decoder.decode(this.#field());
      else if (tag === VALUE) value = decoder.decode(this.#field());
      else this.#skip(tag);
    }
    // Headers count with their tags, as the daemon keeps them.
    this.#bytes += 1 + end - start;
    // Not by assignment: "__proto__" is a name like any other.
    Object.defineProperty(headers, name, { value, enumerable: true, writable: true, configurable: true });
  }

  #field(): Uint8Array {
    const end = this.#length();
    const from = this.#at;
    this.#at = end;
    return this.#wire.subarray(from, end);
  }

  /** Reads a length; says where what has it ends. */
  #length(): number {
    const length = this.#varint();
    if (length > this.#end - this.#at) throw damaged("a field is longer than its message");
    return this.#at + length;
  }

  /** Passes over a field that this version does not know. */
  #skip(tag: number): void {
    switch (tag & 7) {
      case 0:
        this.#varint();
        return;
      case 1:
        this.#at += 8;
        break;
      case 2:
        this.#at = this.#length();
        return;
      case 5:
        this.#at += 4;
        break;
      default:
        throw damaged(`a field has the wire type ${tag & 7}`);
    }
    if (this.#at > this.#end) throw damaged("a field is longer than its message");
  }

  #varint(): number {
    let value = 0;
    for (let i = 0, unit = 1; i < 10 && this.#at < this.#end; i++, unit *= 0x80) {
      const octet = this.#wire[this.#at++] ?? 0;
      value += (octet & 0x7f) * unit;
      if (octet < 0x80) return value;
    }
    throw damaged("a number is cut");
  }
}

/** The milliseconds since the Unix epoch in a UUIDv7 (RFC 9562 §5.7). Counting on never changes them. */
function timeOf(uuid: Uint8Array | undefined): number {
  let time = 0;
  for (let i = 0; i < 6; i++) time = time * 256 + (uuid?.[i] ?? 0);
  return time;
}

function damaged(what: string): MsgbusError {
  return new MsgbusError("DATA_LOSS", `Cannot read the daemon's answer: ${what}`);
}
