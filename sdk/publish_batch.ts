import { SDK_LIMITS } from "./limits.ts";
import type { EncodedPayload } from "./payload.ts";
import type { PendingPublish } from "./pending_publish.ts";

/** Tags: field number × 8 + wire type. */
const MESSAGES = 0x1a; // of PublishStreamRequest
const TOPIC = 0x0a; // of StreamedPublish, and so on
const PAYLOAD = 0x1a;
const HEADERS = 0x22;
const IDEMPOTENCY_KEY = 0x2a;
const HEADER_NAME = 0x0a;
const HEADER_VALUE = 0x12;

const FIRST_BYTES = 4_096;

const MAX_KEY_BYTES = 260; // with tag and length

const encoder = new TextEncoder();

/** The text that was encoded last: most messages have the topic of the one before. */
let lastTopic = "";
let lastTopicBytes = new Uint8Array();

/** Messages that go to the daemon in one request, encoded as they come. */
export class PublishBatch {
  /** The sequence of the first message. */
  readonly firstSequence: number;
  readonly messages: PendingPublish[] = [];
  /** Whether a daemon may have seen it. */
  sent = false;
  /** Whether one may have stored it before the open call. */
  resent = false;
  #bytes = new Uint8Array(FIRST_BYTES);
  #length = 0;

  constructor(firstSequence: number) {
    this.firstSequence = firstSequence;
  }

  /** What was written. */
  get length(): number {
    return this.#length;
  }

  /** A PublishStreamRequest with the messages. Nothing may be added afterwards. */
  get request(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  add(message: PendingPublish, { payload }: EncodedPayload): void {
    const topic = topicBytes(message.topic);
    const headers = encodeHeaders(message.headers);
    const key = message.key === "" ? NO_BYTES : encoder.encode(message.key);
    const length = fieldBytes(topic.length) + optionalBytes(payload.length) + headers.length +
      optionalBytes(key.length);
    this.#reserve(fieldBytes(length));
    const bytes = this.#bytes;
    let at = putLength(bytes, this.#length, MESSAGES, length);
    at = putField(bytes, at, TOPIC, topic);
    if (payload.length > 0) at = putField(bytes, at, PAYLOAD, payload);
    message.payloadTo = at;
    message.payloadFrom = at - payload.length;
    bytes.set(headers, at);
    at += headers.length;
    if (key.length > 0) at = putField(bytes, at, IDEMPOTENCY_KEY, key);
    this.#length = at;
    this.messages.push(message);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

const NO_BYTES = new Uint8Array();

/** Bytes of a request beside topic, payload and headers of its message, at most. */
const REQUEST_OVERHEAD_BYTES = 64 + MAX_KEY_BYTES;

/** Bytes that a message takes in a request, at most. */
export function requestBytes(topic: string, encoded: EncodedPayload): number {
  return REQUEST_OVERHEAD_BYTES + contentBytes(topic, encoded);
}

/** Bytes that topic, payload and headers take in a request, at most. */
export function contentBytes(topic: string, { payload, headers }: EncodedPayload): number {
  let bytes = topic.length * 3 + payload.length;
  for (const name in headers) bytes += 24 + (name.length + (headers[name]?.length ?? 0)) * 3;
  return bytes;
}

/** Whether a message fits into a request that the daemon takes. */
export function fitsRequest(topic: string, encoded: EncodedPayload): boolean {
  const { maxPublishRequestBytes: most } = SDK_LIMITS;
  if (requestBytes(topic, encoded) <= most) return true;
  // Close to the limit it is counted: texts are mostly a third of what they might be.
  let bytes = REQUEST_OVERHEAD_BYTES + encoder.encode(topic).length + encoded.payload.length;
  for (const [name, value] of Object.entries(encoded.headers)) {
    bytes += 24 + encoder.encode(name).length + encoder.encode(value).length;
  }
  return bytes <= most;
}

function topicBytes(topic: string): Uint8Array {
  if (topic !== lastTopic) {
    lastTopic = topic;
    lastTopicBytes = encoder.encode(topic);
  }
  return lastTopicBytes;
}

function encodeHeaders(headers: Readonly<Record<string, string>>): Uint8Array {
  const entries: { readonly name: Uint8Array; readonly value: Uint8Array; readonly length: number }[] = [];
  let total = 0;
  for (const header in headers) {
    const name = encoder.encode(header);
    const value = encoder.encode(headers[header]);
    const length = fieldBytes(name.length) + fieldBytes(value.length);
    entries.push({ name, value, length });
    total += fieldBytes(length);
  }
  if (total === 0) return NO_BYTES;
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const { name, value, length } of entries) {
    at = putLength(bytes, at, HEADERS, length);
    at = putField(bytes, at, HEADER_NAME, name);
    at = putField(bytes, at, HEADER_VALUE, value);
  }
  return bytes;
}

/** A length-delimited field of `length` bytes, with its tag and length. */
function fieldBytes(length: number): number {
  return 1 + (length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x200000 ? 3 : 4) + length;
}

function optionalBytes(length: number): number {
  return length === 0 ? 0 : fieldBytes(length);
}

function putField(bytes: Uint8Array, at: number, tag: number, value: Uint8Array): number {
  at = putLength(bytes, at, tag, value.length);
  bytes.set(value, at);
  return at + value.length;
}

function putLength(bytes: Uint8Array, at: number, tag: number, length: number): number {
  bytes[at++] = tag;
  for (; length > 0x7f; length >>>= 7) bytes[at++] = (length & 0x7f) | 0x80;
  bytes[at++] = length;
  return at;
}
