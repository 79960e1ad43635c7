import { encodeHeaders } from "../bus/headers.ts";
import type { PublishRequest } from "../bus/requests.ts";
import type { Slab } from "../bus/slab.ts";
import type { NodeName } from "../store/store.ts";
import { readNodeName } from "./node_id.ts";
import { WireReader } from "./wire_reader.ts";

const EMPTY = new Uint8Array(0);
/** Tags of PublishRequest: field number × 8 + wire type 2. */
const TOPIC = 0x0a;
const ORIGIN = 0x12;
const PAYLOAD = 0x1a;
const HEADERS = 0x22;
/** Tag of a headers entry in MessageEnvelope, the form in which the bus keeps them. */
const ENVELOPE_HEADERS = 0x32;
const KEY = 0x0a;
const VALUE = 0x12;

/**
 * Reads a PublishRequest from its wire bytes. By hand, because every message passes here: the headers are checked but
 * not decoded, and the payload is copied once, out of the connection's buffer into `slab`. `publish_request_test.ts` holds it
 * against the generated code. Throws StatusError INVALID_ARGUMENT.
 */
export function readPublishRequest(bytes: Uint8Array, slab: Slab): PublishRequest {
  const reader = new WireReader(bytes);
  let topic = "";
  let origin: NodeName | undefined;
  let payload: Uint8Array = EMPTY;
  let entries: Uint8Array[] | undefined;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case TOPIC:
        topic = reader.string();
        break;
      case ORIGIN:
        origin = readNodeName(reader.bytes(), origin);
        break;
      case PAYLOAD:
        payload = reader.bytes();
        break;
      case HEADERS:
        (entries ??= []).push(readHeaderEntry(reader.bytes()));
        break;
      default:
        reader.skipUnknown(tag, 4);
    }
  }
  return {
    topic,
    origin,
    payload: slab.copy(payload),
    headers: entries === undefined ? EMPTY : joinEntries(entries),
  };
}

/** A map entry of a key and a value in UTF-8. One that holds more, which is legal, is written anew without it. */
export function readHeaderEntry(entry: Uint8Array): Uint8Array {
  const reader = new WireReader(entry);
  let key = "";
  let value = "";
  let more = false;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === KEY) key = reader.string();
    else if (tag === VALUE) value = reader.string();
    else {
      reader.skipUnknown(tag, 2);
      more = true;
    }
  }
  if (!more) return entry;
  const field = new WireReader(encodeHeaders({ [key]: value }));
  field.tag();
  return field.bytes();
}

/** Checked entries in the form in which the bus keeps headers. */
export function joinEntries(entries: readonly Uint8Array[]): Uint8Array {
  let total = 0;
  for (const entry of entries) total += 1 + lengthBytes(entry.length) + entry.length;
  const joined = new Uint8Array(total);
  let at = 0;
  for (const entry of entries) {
    joined[at++] = ENVELOPE_HEADERS;
    let length = entry.length;
    for (; length > 0x7f; length >>>= 7) joined[at++] = (length & 0x7f) | 0x80;
    joined[at++] = length;
    joined.set(entry, at);
    at += entry.length;
  }
  return joined;
}

function lengthBytes(length: number): number {
  return length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x200000 ? 3 : 4;
}
