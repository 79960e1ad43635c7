/**
 * How messages of one log are kept one after another: each is the field 2 of some protobuf message, a StreamedMessage,
 * all of whose fields are optional:
 *
 *     bytes uuid = 1            16 bytes: an id that is a canonical UUID
 *     string id = 2             an id that is none
 *     bytes payload = 5
 *     map headers = 6           as they were handed over
 *     uint64 created_at_ms = 7  absent: the time of the id, which is a UUIDv7
 *     bool deleted = 8          then there are no payload and no headers
 *
 * Behind the headers, and as a part of them, stand the fields of MessageEnvelope that this version does not know
 * (`later_fields.ts`). All others come in the order of their numbers.
 *
 * Without uuid and id, the id is the UUID of the message before plus one, as a number of 128 bits, big-endian; the first
 * message always has one of the two.
 *
 * @module
 */

import { FIRST_LATER_TAG, laterFieldEnd } from "./later_fields.ts";
import {
  addToUuid,
  formatUuid,
  isNextUuid,
  parseUuid,
  putUuidText,
  timeOfUuid,
  UUID_BYTES,
  UUID_TEXT_LENGTH,
} from "./uuid_bytes.ts";

const MESSAGE = 0x12;
const UUID = 0x0a;
const ID = 0x12;
const PAYLOAD = 0x2a;
const HEADER = 0x32;
const CREATED_AT = 0x38;
const DELETED = 0x40;
const NO_TAG = -1;

/** The tag of a message and its length. */
const MESSAGE_START_BYTES = 11;
const UUID_FIELD_BYTES = 2 + UUID_BYTES;
const DELETED_FIELD_BYTES = 2;

/** A varint of 53 bits has no more. */
const VARINT_BYTES = 8;

/** Larger memory of a writer is given back after use: one huge message must not hold its size forever. */
const KEPT_BYTES = 1 << 20;
const FIRST_BYTES = 4 << 10;

const NO_BYTES = new Uint8Array();
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The bytes are not what a MessageWriter wrote. */
export class DamagedMessagesError extends Error {
  override readonly name = "DamagedMessagesError";

  constructor(at: number) {
    super(`Cannot read messages: they are damaged at byte ${at}`);
  }
}

/** Writes messages one after another. */
export class MessageWriter {
  #bytes = new Uint8Array(FIRST_BYTES);
  #at = 0;
  #count = 0;
  /** The id of the message before if that is a UUID, and whether it is; also over a `reset`. */
  readonly #uuid = new Uint8Array(UUID_BYTES);
  #hasUuid = false;
  #createdAtMs = 0;
  readonly #next = new Uint8Array(UUID_BYTES);

  /** Everything written since the last `reset`; valid until the next change. */
  get written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#at);
  }

  /** Messages written since the last `reset`. */
  get count(): number {
    return this.#count;
  }

  /** Begins anew: the next message names its id. */
  reset(): void {
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = new Uint8Array(FIRST_BYTES);
    this.#at = 0;
    this.#count = 0;
  }

  /** Begins anew, and no message comes before the next one. */
  clear(): void {
    this.reset();
    this.#hasUuid = false;
  }

  /**
   * Writes a message; `createdAtMs` is a safe integer from 0 on, `headers` pass {@link requireHeaders}. Payload and
   * headers of a deleted message are left out.
   */
  add(id: string, createdAtMs: number, payload: Uint8Array, headers: Uint8Array, deleted = false): void {
    if (!parseUuid(id, this.#next)) {
      return this.#addText(encoder.encode(id), createdAtMs, payload, headers, deleted);
    }
    this.#addUuid(this.#takeNext(), createdAtMs, payload, headers, deleted);
  }

  /**
   * Writes a message whose id is that of the message before plus one, also over a `reset`, and whose time is the same.
   * False, and nothing is written, where that id was no UUID.
   */
  addNext(payload: Uint8Array, headers: Uint8Array): boolean {
    if (!this.#hasUuid) return false;
    addToUuid(this.#uuid, 0, 1);
    this.#addUuid(true, this.#createdAtMs, payload, headers, false);
    return true;
  }

  /** Writes the message at which a reader stands, as a deleted one where `deleted`. */
  copy(from: MessageReader, deleted: boolean): void {
    const { createdAtMs, payload, headers } = from;
    deleted ||= from.deleted;
    if (!from.hasUuid) return this.#addText(from.textBytes, createdAtMs, payload, headers, deleted);
    from.copyUuid(this.#next);
    this.#addUuid(this.#takeNext(), createdAtMs, payload, headers, deleted);
  }

  /** Makes `#next` the UUID of the message; says whether it follows the one before. */
  #takeNext(): boolean {
    const follows = this.#hasUuid && isNextUuid(this.#uuid, this.#next);
    this.#uuid.set(this.#next);
    this.#hasUuid = true;
    return follows;
  }

  #addUuid(
    follows: boolean,
    createdAtMs: number,
    payload: Uint8Array,
    headers: Uint8Array,
    deleted: boolean,
  ): void {
    const named = !follows || this.#count === 0;
    const timed = timeOfUuid(this.#uuid) !== createdAtMs;
    const idBytes = named ? UUID_FIELD_BYTES : 0;
    this.#begin(idBytes + contentBytes(payload, headers, deleted) + (timed ? timeBytes(createdAtMs) : 0));
    if (named) this.#field(UUID, this.#uuid);
    this.#end(createdAtMs, timed, payload, headers, deleted);
  }

  #addText(
    id: Uint8Array,
    createdAtMs: number,
    payload: Uint8Array,
    headers: Uint8Array,
    deleted: boolean,
  ): void {
    this.#hasUuid = false;
    this.#begin(fieldBytes(id) + contentBytes(payload, headers, deleted) + timeBytes(createdAtMs));
    this.#field(ID, id);
    this.#end(createdAtMs, true, payload, headers, deleted);
  }

  #begin(size: number): void {
    const needed = this.#at + MESSAGE_START_BYTES + size;
    if (needed > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, this.#at));
      this.#bytes = larger;
    }
    this.#bytes[this.#at++] = MESSAGE;
    this.#varint(size);
  }

  #end(
    createdAtMs: number,
    timed: boolean,
    payload: Uint8Array,
    headers: Uint8Array,
    deleted: boolean,
  ): void {
    if (!deleted) {
      if (payload.length > 0) this.#field(PAYLOAD, payload);
      this.#raw(headers);
    }
    if (timed) {
      this.#bytes[this.#at++] = CREATED_AT;
      this.#varint(createdAtMs);
    }
    if (deleted) {
      this.#bytes[this.#at++] = DELETED;
      this.#bytes[this.#at++] = 1;
    }
    this.#createdAtMs = createdAtMs;
    this.#count++;
  }

  #field(tag: number, value: Uint8Array): void {
    this.#bytes[this.#at++] = tag;
    this.#varint(value.length);
    this.#raw(value);
  }

  #raw(value: Uint8Array): void {
    if (value.length === 0) return;
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  #varint(value: number): void {
    const bytes = this.#bytes;
    // Bit operations hold 32 bits only: larger values give their lower groups by division first.
    for (; value > 0x7fff_ffff; value = Math.floor(value / 0x80)) bytes[this.#at++] = (value % 0x80) | 0x80;
    for (; value > 0x7f; value >>>= 7) bytes[this.#at++] = (value & 0x7f) | 0x80;
    bytes[this.#at++] = value;
  }
}

/** Reads messages one after another: `next` goes to each of them, and the properties tell about that one. */
export class MessageReader {
  #bytes: Uint8Array;
  #at: number;
  #stop: number;
  #start = 0;
  /** Where the uuid is that the id counts from; -1 where the id is no UUID. */
  #uuidAt = -1;
  /** The time in that uuid; -1 where it has none. */
  #uuidTime = -1;
  #plus = 0;
  #textAt = 0;
  #textEnd = 0;
  #payloadAt = 0;
  #payloadEnd = 0;
  #headersEnd = 0;
  #createdAtMs = 0;
  #deleted = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#at = 0;
    this.#stop = bytes.length;
  }

  /** Begins anew at a place of other bytes, to end before another one. */
  reset(bytes: Uint8Array, at: number, end: number): void {
    this.#bytes = bytes;
    this.#at = at;
    this.#stop = end;
    this.#uuidAt = -1;
  }

  /** Goes to the next message; false at the end. Throws DamagedMessagesError. */
  next(): boolean {
    if (this.#at === this.#stop) return false;
    this.#start = this.#at;
    if (this.#bytes[this.#at++] !== MESSAGE) throw this.#damaged();
    const end = this.#length(this.#stop);
    let tag = this.#tag(end);
    if (tag === UUID) {
      const fieldEnd = this.#length(end);
      if (fieldEnd - this.#at !== UUID_BYTES) throw this.#damaged();
      this.#uuidAt = this.#at;
      this.#uuidTime = timeOfUuid(this.#bytes, this.#at) ?? -1;
      this.#plus = 0;
      this.#at = fieldEnd;
      tag = this.#tag(end);
    } else if (tag === ID) {
      this.#textEnd = this.#length(end);
      this.#uuidAt = -1;
      this.#textAt = this.#at;
      this.#at = this.#textEnd;
      tag = this.#tag(end);
    } else {
      if (this.#uuidAt < 0) throw this.#damaged();
      this.#plus++;
    }
    this.#payloadAt = this.#payloadEnd = tag === NO_TAG ? end : this.#at - 1;
    if (tag === PAYLOAD) {
      this.#payloadEnd = this.#length(end);
      this.#payloadAt = this.#at;
      this.#at = this.#payloadEnd;
      tag = this.#tag(end);
    }
    this.#headersEnd = this.#payloadEnd;
    while (tag === HEADER) {
      this.#at = this.#headersEnd = this.#length(end);
      tag = this.#tag(end);
    }
    while (tag >= FIRST_LATER_TAG) {
      const fieldEnd = laterFieldEnd(this.#bytes, this.#at - 1, end);
      if (fieldEnd < 0) throw this.#damaged();
      this.#at = this.#headersEnd = fieldEnd;
      tag = this.#tag(end);
    }
    if (tag === CREATED_AT) {
      this.#createdAtMs = this.#varint(end);
      tag = this.#tag(end);
    } else this.#createdAtMs = this.#timeOfId();
    this.#deleted = tag === DELETED;
    if (tag === DELETED) {
      if (this.#varint(end) !== 1) throw this.#damaged();
      tag = this.#tag(end);
    }
    if (tag !== NO_TAG) throw this.#damaged();
    return true;
  }

  /** Where the message begins, and where it ends. */
  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#at;
  }

  /** Whether the message has its id in itself and not in the one before. */
  get isNamed(): boolean {
    return this.#plus === 0 || this.#uuidAt < 0;
  }

  /** Whether the id is a canonical UUID. */
  get hasUuid(): boolean {
    return this.#uuidAt >= 0;
  }

  /** The id's place and count, for {@link readId}. */
  get idAt(): number {
    return this.#uuidAt < 0 ? this.#textAt : this.#uuidAt;
  }

  get idCount(): number {
    return this.#uuidAt < 0 ? this.#textAt - this.#textEnd - 1 : this.#plus;
  }

  get id(): string {
    return readId(this.#bytes, this.idAt, this.idCount);
  }

  /** The UTF-8 of an id that is no UUID. */
  get textBytes(): Uint8Array {
    return this.#bytes.subarray(this.#textAt, this.#textEnd);
  }

  /** Writes the 16 bytes of an id that is a UUID. */
  copyUuid(into: Uint8Array): void {
    into.set(this.#bytes.subarray(this.#uuidAt, this.#uuidAt + UUID_BYTES));
    addToUuid(into, 0, this.#plus);
  }

  get createdAtMs(): number {
    return this.#createdAtMs;
  }

  /** Empty when deleted. A view. */
  get payload(): Uint8Array {
    return this.#view(this.#payloadAt, this.#payloadEnd);
  }

  /** Empty when deleted or none. A view. */
  get headers(): Uint8Array {
    return this.#view(this.#payloadEnd, this.#headersEnd);
  }

  /** Payload and header bytes. */
  get contentBytes(): number {
    return this.#headersEnd - this.#payloadAt;
  }

  get deleted(): boolean {
    return this.#deleted;
  }

  #timeOfId(): number {
    const lastByte = this.#bytes[this.#uuidAt + UUID_BYTES - 1] ?? 0;
    // As long as counting on changes the last byte only, the time is that of the uuid.
    const time = this.#uuidAt < 0 || lastByte + this.#plus < 256
      ? this.#uuidTime
      : timeOfUuid(this.#bytes, this.#uuidAt, this.#plus) ?? -1;
    if (this.#uuidAt < 0 || time < 0) throw this.#damaged();
    return time;
  }

  #view(from: number, to: number): Uint8Array {
    return from === to ? NO_BYTES : this.#bytes.subarray(from, to);
  }

  /** The next tag before `end`, of the fields known here one byte; NO_TAG at the end. */
  #tag(end: number): number {
    return this.#at < end ? this.#bytes[this.#at++] ?? NO_TAG : NO_TAG;
  }

  /** Reads a length; says where what has it ends. */
  #length(end: number): number {
    const length = this.#varint(end);
    if (length > end - this.#at) throw this.#damaged();
    return this.#at + length;
  }

  #varint(end: number): number {
    const most = Math.min(end, this.#at + VARINT_BYTES);
    let value = 0;
    for (let factor = 1; this.#at < most; factor *= 0x80) {
      const byte = this.#bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    throw this.#damaged();
  }

  #damaged(): DamagedMessagesError {
    return new DamagedMessagesError(this.#at);
  }
}

/** Bytes of an id's text, by the count that a {@link MessageReader} told. */
export function idLength(idCount: number): number {
  return idCount >= 0 ? UUID_TEXT_LENGTH : -idCount - 1;
}

/** Writes the text of the id at the place and with the count that a {@link MessageReader} of `bytes` told. */
export function putId(bytes: Uint8Array, idAt: number, idCount: number, into: Uint8Array, at: number): void {
  if (idCount >= 0) putUuidText(into, at, bytes, idAt, idCount);
  else into.set(bytes.subarray(idAt, idAt + idLength(idCount)), at);
}

/** The id at the place and with the count that a {@link MessageReader} of these bytes told: making it can wait. */
export function readId(bytes: Uint8Array, idAt: number, idCount: number): string {
  if (idCount >= 0) return formatUuid(bytes, idAt, idCount);
  return decoder.decode(bytes.subarray(idAt, idAt - idCount - 1));
}

function contentBytes(payload: Uint8Array, headers: Uint8Array, deleted: boolean): number {
  if (deleted) return DELETED_FIELD_BYTES;
  return (payload.length === 0 ? 0 : fieldBytes(payload)) + headers.length;
}

function timeBytes(createdAtMs: number): number {
  return 1 + varintBytes(createdAtMs);
}

function fieldBytes(value: Uint8Array): number {
  return 1 + varintBytes(value.length) + value.length;
}

function varintBytes(value: number): number {
  let count = 1;
  for (; value >= 0x80; value = Math.floor(value / 0x80)) count++;
  return count;
}

/**
 * Throws TypeError when headers are not encoded fields 6, one after another, or nothing, and behind them fields of later
 * versions: a MessageReader would find something else in their place, or damage.
 */
export function requireHeaders(headers: Uint8Array): void {
  let at = 0;
  while (at < headers.length && (headers[at] ?? 0) < FIRST_LATER_TAG) {
    let length = 0;
    let factor = 1;
    let byte = 0x80;
    if (headers[at++] === HEADER) {
      for (; byte >= 0x80 && at < headers.length; factor *= 0x80) {
        byte = headers[at++] ?? 0;
        length += (byte & 0x7f) * factor;
      }
    }
    at += length;
    if (byte >= 0x80 || at > headers.length) throw noHeadersError();
  }
  while (at < headers.length) {
    at = laterFieldEnd(headers, at, headers.length);
    if (at < 0) throw noHeadersError();
  }
}

function noHeadersError(): TypeError {
  return new TypeError("Cannot write a message: its headers are not encoded fields 6; encode them first");
}
