import { FramedMessage, MESSAGE_PREFIX_BYTES } from "@msgbus/grpc/server";
import type { Message } from "../bus/message.ts";
import { putVarint, varintBytes } from "../bus/varint.ts";
import { Slab } from "../bus/slab.ts";
import type { NodeName } from "../store/store.ts";
import { writeNodeName } from "./node_id.ts";
import { WireWriter } from "./wire_writer.ts";

/** Tags of MessageEnvelope, and of its field in the three responses that carry it: field number × 8 + wire type. */
const RESPONSE_MESSAGE = 0x0a;
const ID = 0x0a;
const TOPIC = 0x12;
const ORIGIN = 0x1a;
const HEAD_ID = 0x20;
const PAYLOAD = 0x2a;
const CREATED_AT_MS = 0x38;
const DELETED = 0x40;

/** Logs whose fixed fields are kept encoded; beyond it the memory starts anew. */
const MAX_KEPT_LOGS = 1_024;

/** Encodes committed messages for the wire, each once. */
export class EnvelopeEncoder {
  readonly #slab = new Slab();
  readonly #logs = new Map<string, { readonly origin: NodeName; readonly fields: Uint8Array }>();

  /**
   * The message as a framed PublishResponse, FetchResponse or SubscribeResponse, which are one and the same on the
   * wire: a MessageEnvelope in field 1. By hand, because every message passes here once; `envelope_test.ts` holds it
   * against the generated code. The result is kept with the message for all further subscribers.
   */
  encode(message: Message): FramedMessage {
    if (message.encoded instanceof FramedMessage) return message.encoded;
    const framed = this.#encode(message);
    message.encoded = framed;
    return framed;
  }

  #encode(message: Message): FramedMessage {
    const { idLength, payload, headers, headId, createdAtMs, deleted } = message;
    const log = this.#logFields(message);
    const idBytes = 1 + varintBytes(idLength) + idLength;
    const payloadBytes = payload.length === 0 ? 0 : 1 + varintBytes(payload.length) + payload.length;
    const envelopeBytes = idBytes + log.length + 1 + varintBytes(headId) + payloadBytes + headers.length + 1 +
      varintBytes(createdAtMs) + (deleted ? 2 : 0);
    const bytes = this.#slab.take(MESSAGE_PREFIX_BYTES + 1 + varintBytes(envelopeBytes) + envelopeBytes);
    let at = MESSAGE_PREFIX_BYTES;
    bytes[at++] = RESPONSE_MESSAGE;
    at = putVarint(bytes, at, envelopeBytes);
    bytes[at++] = ID;
    at = message.putId(bytes, putVarint(bytes, at, idLength));
    bytes.set(log, at);
    at += log.length;
    bytes[at++] = HEAD_ID;
    at = putVarint(bytes, at, headId);
    if (payload.length > 0) {
      bytes[at++] = PAYLOAD;
      at = putVarint(bytes, at, payload.length);
      bytes.set(payload, at);
      at += payload.length;
    }
    if (headers.length > 0) {
      bytes.set(headers, at);
      at += headers.length;
    }
    bytes[at++] = CREATED_AT_MS;
    at = putVarint(bytes, at, createdAtMs);
    if (deleted) {
      bytes[at++] = DELETED;
      bytes[at++] = 1;
    }
    return FramedMessage.inPlace(bytes);
  }

  /** Topic and origin, encoded once per log. */
  #logFields({ topic, origin }: Message): Uint8Array {
    const kept = this.#logs.get(topic);
    if (kept !== undefined && sameNode(kept.origin, origin)) return kept.fields;
    const fields = new WireWriter().text(TOPIC, topic).bytes(ORIGIN, writeNodeName(origin)).finish();
    if (this.#logs.size >= MAX_KEPT_LOGS) this.#logs.clear();
    this.#logs.set(topic, { origin, fields });
    return fields;
  }
}

function sameNode(a: NodeName, b: NodeName): boolean {
  return a === b || (a.tenantId === b.tenantId && a.blName === b.blName && a.deviceId === b.deviceId);
}
