import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { SubscribeResponseSchema } from "@msgbus/proto";
import { MsgbusError } from "./error.ts";
import { Message } from "./message.ts";
import type { NodeId } from "./node_id.ts";

/** Tags: field number × 8 + wire type. The first is that of PublishResponse, FetchResponse and SubscribeResponse. */
const MESSAGE = 0x0a;
const ID = 0x0a;
const TOPIC = 0x12;
const ORIGIN = 0x1a;
const HEAD_ID = 0x20;
const PAYLOAD = 0x2a;
const HEADERS = 0x32;
const CREATED_AT_MS = 0x38;
const DELETED = 0x40;

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});
const NO_NODE: NodeId = { tenantId: "", blName: "", deviceId: "" };
const EMPTY = new Uint8Array(0);
// Text comes out as it went in: with a byte order mark, where there was one.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A field that was decoded before, with its bytes. */
interface Known<T> {
  readonly bytes: Uint8Array;
  readonly value: T;
}

/**
 * Reads the responses that carry one message. By hand, because a replay passes here message by message: id and payload
 * stay where they are until they are asked for, and topic and origin are decoded once per log. Bytes that no daemon
 * writes (unknown fields, a field twice, a varint that is too long) go through the generated code first;
 * `message_decoder_test.ts` holds both against each other. Text that is not UTF-8, which no daemon accepts, shows as
 * U+FFFD here, where the generated code would refuse the whole message.
 */
export class MessageDecoder {
  #topic: Known<string> = { bytes: EMPTY, value: "" };
  #origin: Known<NodeId> = { bytes: EMPTY, value: NO_NODE };
  // The state of one decode: fields, not locals, so that the steps can share it.
  #wire: Uint8Array = EMPTY;
  #at = 0;
  #end = 0;

  /** The message of a response. Throws MsgbusError DATA_LOSS for bytes that are none. The bytes must not change later. */
  decode(response: Uint8Array): Message {
    const message = this.#decode(response) ?? this.#decode(canonical(response));
    if (message === undefined) {
      throw new MsgbusError(
        "DATA_LOSS",
        "Cannot read the daemon's answer: it holds no message of this version",
      );
    }
    return message;
  }

  /** The message, or undefined for bytes that are not in the plain form. */
  #decode(wire: Uint8Array): Message | undefined {
    this.#wire = wire;
    this.#at = 1;
    this.#end = wire.length;
    if (wire[0] !== MESSAGE || this.#length() !== wire.length - this.#at) return undefined;
    let idFrom = 0, idTo = 0, payloadFrom = 0, payloadTo = 0, headId = 0, createdAtMs = 0;
    let deleted = false;
    let topic = "";
    let origin = NO_NODE;
    let headers: Record<string, string> | undefined;
    let before = 0;
    while (this.#at < wire.length) {
      const tag = wire[this.#at++] ?? 0;
      // Ascending tags: no singular field can stand twice then. Only headers repeat.
      if (tag < before || (tag === before && tag !== HEADERS)) return undefined;
      before = tag;
      if (tag === HEAD_ID || tag === CREATED_AT_MS || tag === DELETED) {
        const value = this.#varint();
        if (value < 0) return undefined;
        if (tag === HEAD_ID) headId = value;
        else if (tag === CREATED_AT_MS) createdAtMs = value;
        else deleted = value !== 0;
        continue;
      }
      const length = this.#length();
      if (length < 0) return undefined;
      const from = this.#at;
      const to = this.#at = from + length;
      switch (tag) {
        case ID:
          idFrom = from;
          idTo = to;
          break;
        case TOPIC:
          topic = this.#topicAt(from, to);
          break;
        case ORIGIN: {
          const node = this.#originAt(from, to);
          if (node === undefined) return undefined;
          origin = node;
          break;
        }
        case PAYLOAD:
          payloadFrom = from;
          payloadTo = to;
          break;
        case HEADERS:
          if (!this.#header(headers ??= {}, from, to)) return undefined;
          break;
        default:
          return undefined;
      }
    }
    return new Message(
      wire,
      idFrom,
      idTo,
      payloadFrom,
      payloadTo,
      topic,
      origin,
      headId,
      createdAtMs,
      deleted,
      headers ?? NO_HEADERS,
    );
  }

  #topicAt(from: number, to: number): string {
    if (!this.#same(this.#topic.bytes, from, to)) {
      const bytes = this.#wire.slice(from, to);
      this.#topic = { bytes, value: decoder.decode(bytes) };
    }
    return this.#topic.value;
  }

  #originAt(from: number, to: number): NodeId | undefined {
    if (this.#same(this.#origin.bytes, from, to)) return this.#origin.value;
    const parts = ["", "", ""];
    if (!this.#strings(from, to, parts)) return undefined;
    const [tenantId = "", blName = "", deviceId = ""] = parts;
    this.#origin = {
      bytes: this.#wire.slice(from, to),
      value: Object.freeze({ tenantId, blName, deviceId }),
    };
    return this.#origin.value;
  }

  #header(headers: Record<string, string>, from: number, to: number): boolean {
    const parts = ["", ""];
    if (!this.#strings(from, to, parts)) return false;
    const [name = "", value = ""] = parts;
    // Not by assignment: "__proto__" is a name like any other.
    if (name === "__proto__") {
      Object.defineProperty(headers, name, { value, enumerable: true, writable: true, configurable: true });
    } else headers[name] = value;
    return true;
  }

  /** Reads the string fields 1, 2, 3 … of a nested message into `into`. */
  #strings(from: number, to: number, into: string[]): boolean {
    this.#at = from;
    this.#end = to;
    while (this.#at < to) {
      const tag = this.#wire[this.#at++] ?? 0;
      const index = (tag >>> 3) - 1;
      if ((tag & 7) !== 2 || index < 0 || index >= into.length) return false;
      const length = this.#length();
      if (length < 0) return false;
      into[index] = decoder.decode(this.#wire.subarray(this.#at, this.#at + length));
      this.#at += length;
    }
    this.#end = this.#wire.length;
    return true;
  }

  /** A length that what follows can hold; -1 otherwise. */
  #length(): number {
    const value = this.#varint();
    return value > this.#end - this.#at ? -1 : value;
  }

  /** A varint that is a safe integer; -1 otherwise. */
  #varint(): number {
    let value = 0;
    let unit = 1;
    for (let i = 0; i < 8 && this.#at < this.#end; i++, unit *= 0x80) {
      const octet = this.#wire[this.#at++] ?? 0;
      value += (octet & 0x7f) * unit;
      if (octet < 0x80) return value <= Number.MAX_SAFE_INTEGER ? value : -1;
    }
    return -1;
  }

  #same(bytes: Uint8Array, from: number, to: number): boolean {
    if (to - from !== bytes.length) return false;
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] !== this.#wire[from + i]) return false;
    }
    return true;
  }
}

/** The same response as the generated code writes it: each field once, in order, none that is not known. */
function canonical(response: Uint8Array): Uint8Array {
  try {
    return toBinary(SubscribeResponseSchema, fromBinary(SubscribeResponseSchema, response), {
      writeUnknownFields: false,
    });
  } catch (error) {
    throw new MsgbusError("DATA_LOSS", "Cannot read the daemon's answer: it is no protobuf message", {
      cause: error,
    });
  }
}
