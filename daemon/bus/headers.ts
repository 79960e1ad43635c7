import { entriesOfHeaders, fieldNumber, FIRST_LATER_TAG, joined, laterFieldEnd } from "../store/store.ts";
import { BusError } from "./error.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const ENTRY = 0x32; // field 6, length-delimited: `headers` of MessageEnvelope
const KEY = 0x0a; // field 1, length-delimited
const VALUE = 0x12; // field 2, length-delimited

/**
 * Headers in the form the bus keeps them: the protobuf encoding of MessageEnvelope's map field 6, so that a stored
 * message needs no encoding again on its way to the wire. No headers: no bytes. Behind the entries of a copied message stand
 * the fields that a newer version gave it, and are passed on with them.
 */
export function encodeHeaders(headers: Readonly<Record<string, string>>): Uint8Array<ArrayBuffer> {
  const entries: { key: Uint8Array; value: Uint8Array; size: number }[] = [];
  let total = 0;
  for (const [name, text] of Object.entries(headers)) {
    const key = encoder.encode(name);
    const value = encoder.encode(text);
    const size = 2 + lengthSize(key.length) + key.length + lengthSize(value.length) + value.length;
    entries.push({ key, value, size });
    total += 1 + lengthSize(size) + size;
  }
  const out = new Uint8Array(total);
  let at = 0;
  const putLength = (length: number) => {
    for (; length > 0x7f; length >>>= 7) out[at++] = (length & 0x7f) | 0x80;
    out[at++] = length;
  };
  const putField = (tag: number, bytes: Uint8Array) => {
    out[at++] = tag;
    putLength(bytes.length);
    out.set(bytes, at);
    at += bytes.length;
  };
  for (const { key, value, size } of entries) {
    out[at++] = ENTRY;
    putLength(size);
    putField(KEY, key);
    putField(VALUE, value);
  }
  return out;
}

/**
 * The same headers in the form that every node keeps of another node's message: each name once, in the order of their
 * UTF-16 units, and behind them the fields of newer versions by their numbers. Implementations send a map in any order, and
 * copies must be equal. Throws like {@link decodeHeaders}.
 */
export function canonicalHeaders(bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) return bytes;
  const headers = decodeHeaders(bytes);
  const sorted: Record<string, string> = Object.create(null);
  for (const name of Object.keys(headers).sort()) sorted[name] = headers[name] ?? "";
  const entries = encodeHeaders(sorted);
  const later = bytes.subarray(entriesOfHeaders(bytes).length);
  return later.length === 0 ? entries : joined([entries, ...laterFields(later)]);
}

/** The fields of newer versions by their numbers, those of one number as they stand. */
function laterFields(bytes: Uint8Array): Uint8Array[] {
  const fields: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = laterFieldEnd(bytes, at, bytes.length);
    if (end < 0) throw malformed(at);
    fields.push(bytes.subarray(at, at = end));
  }
  return fields.sort((a, b) => fieldNumber(a, 0) - fieldNumber(b, 0));
}

/**
 * The inverse of {@link encodeHeaders}. A key that occurs twice has its last value, an absent key or value is empty,
 * as protobuf says, and fields of newer versions are passed over. Throws BusError "internal" on bytes that are not headers.
 */
export function decodeHeaders(bytes: Uint8Array): Record<string, string> {
  // No prototype, so that a header named "__proto__" is a header like any other.
  const headers: Record<string, string> = Object.create(null);
  let at = 0;
  const length = (end: number): number => {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = at < end ? bytes[at++] : undefined;
      if (byte === undefined) throw malformed(at);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (at + value > end) throw malformed(at);
        return value;
      }
    }
    throw malformed(at);
  };
  while (at < bytes.length && (bytes[at] ?? 0) < FIRST_LATER_TAG) {
    if (bytes[at++] !== ENTRY) throw malformed(at - 1);
    const size = length(bytes.length);
    const end = at + size;
    let key = "";
    let value = "";
    while (at < end) {
      const tag = bytes[at++];
      const count = length(end);
      const text = decode(bytes.subarray(at, at + count), at);
      at += count;
      if (tag === KEY) key = text;
      else if (tag === VALUE) value = text;
      else throw malformed(at);
    }
    headers[key] = value;
  }
  return headers;
}

function decode(bytes: Uint8Array, at: number): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw malformed(at); // the decoder says only "invalid"; where is all there is to add
  }
}

function lengthSize(length: number): number {
  return length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x200000 ? 3 : 4;
}

function malformed(at: number): BusError {
  return new BusError("internal", `Cannot read headers: byte ${at} is not part of a header entry`);
}
