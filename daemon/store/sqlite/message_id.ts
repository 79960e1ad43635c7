import type { ByteReader } from "./byte_reader.ts";
import type { ByteWriter } from "./byte_writer.ts";

/** How an id is kept: 16 bytes for a canonical UUID, its text for anything else. */
export type StoredId = Uint8Array | string;

const UUID_TEXT_LENGTH = 36;
const UUID_BYTES = 16;
const UUID_V7 = 0x70;
const KIND_TEXT = 0;
const KIND_UUID = 1;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** The value of each lower-case hex digit by its character code; 255 for every other character. */
const NIBBLE = new Uint8Array(128).fill(255);
for (let value = 0; value < 16; value++) NIBBLE[value.toString(16).charCodeAt(0)] = value;

export function writeId(to: ByteWriter, id: string): void {
  if (isCanonicalUuid(id)) {
    to.u8(KIND_UUID);
    to.fill(UUID_BYTES, (bytes, at) => parseUuid(id, bytes, at));
  } else {
    to.u8(KIND_TEXT);
    to.text(id);
  }
}

export function writeStoredId(to: ByteWriter, id: StoredId): void {
  to.u8(typeof id === "string" ? KIND_TEXT : KIND_UUID);
  if (typeof id === "string") to.text(id);
  else to.raw(id);
}

export function readStoredId(from: ByteReader): StoredId {
  return from.u8() === KIND_UUID ? from.raw(UUID_BYTES) : from.text();
}

export function readId(from: ByteReader): string {
  const id = readStoredId(from);
  return typeof id === "string" ? id : formatUuid(id);
}

/** The milliseconds since the epoch in a UUIDv7 (RFC 9562 §5.7); undefined for any other id. */
export function timeOfId(id: StoredId): number | undefined {
  if (typeof id === "string" || ((id[6] ?? 0) & 0xf0) !== UUID_V7) return undefined;
  return timeOfUuid(id);
}

/** The time at the start of a UUIDv7. */
export function timeOfUuid(bytes: Uint8Array, at = 0): number {
  let time = 0;
  for (let i = at; i < at + 6; i++) time = time * 256 + (bytes[i] ?? 0);
  return time;
}

/** The text of an id of `count` bytes as it is kept. */
export function readStoredIdText(from: ByteReader, isUuid: boolean, count: number): string {
  const bytes = from.raw(count);
  return isUuid ? formatUuid(bytes) : decoder.decode(bytes);
}

function isDash(index: number): boolean {
  return index === 8 || index === 13 || index === 18 || index === 23;
}

function isCanonicalUuid(id: string): boolean {
  if (id.length !== UUID_TEXT_LENGTH) return false;
  for (let i = 0; i < UUID_TEXT_LENGTH; i++) {
    const code = id.charCodeAt(i);
    if (isDash(i) ? code !== 0x2d : NIBBLE[code] === 255 || code > 127) return false;
  }
  return true;
}

function parseUuid(id: string, into: Uint8Array, at: number): void {
  for (let i = 0; i < UUID_TEXT_LENGTH; i += 2) {
    if (isDash(i)) i++;
    into[at++] = ((NIBBLE[id.charCodeAt(i)] ?? 0) << 4) | (NIBBLE[id.charCodeAt(i + 1)] ?? 0);
  }
}

function formatUuid(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < UUID_BYTES; i++) {
    text += HEX[bytes[i] ?? 0];
    if (i === 3 || i === 5 || i === 7 || i === 9) text += "-";
  }
  return text;
}
