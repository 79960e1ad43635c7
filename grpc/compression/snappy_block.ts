import type { ByteSink } from "./byte_sink.ts";
import { copyMatch, findMatches } from "./matches.ts";

// The elements of a block (Snappy format description, §2): two bits say which, six more how long or how far.
const LITERAL = 0;
const COPY_1_BYTE_OFFSET = 1;
const COPY_2_BYTE_OFFSET = 2;
/** Lengths of literals from here on stand behind the tag. */
const LONG_LITERAL = 60;
const MAX_COPY = 64;
const MIN_MATCH = 4;
const MAX_LENGTH_BYTES = 5;

/** Compresses at most 65,536 bytes. */
export function compressBlock(bytes: Uint8Array, to: ByteSink): void {
  putLength(to, bytes.length);
  const rest = findMatches(bytes, 0, bytes.length, MIN_MATCH, 0, (from, end, offset, length) => {
    putLiteral(to, bytes.subarray(from, end));
    putCopies(to, offset, length);
  });
  putLiteral(to, bytes.subarray(rest));
}

/** The length a block says it has once decompressed. Throws when it says none. */
export function uncompressedLength(block: Uint8Array): number {
  return readLength(block).length;
}

/** Fills `to` from a block that says it has this length. Throws when it is damaged. */
export function decompressBlock(block: Uint8Array, to: Uint8Array): void {
  let from = readLength(block).next;
  let at = 0;
  while (from < block.length) {
    const tag = block[from++] ?? 0;
    let length = tag >> 2;
    if ((tag & 3) === LITERAL) {
      const extra = length >= LONG_LITERAL ? length - LONG_LITERAL + 1 : 0;
      if (extra > 0) length = littleEndian(block, from, extra);
      from += extra;
      length++;
      if (from + length > block.length || at + length > to.length) throw damaged();
      to.set(block.subarray(from, from += length), at);
    } else {
      let offset: number;
      if ((tag & 3) === COPY_1_BYTE_OFFSET) {
        offset = (tag & 0xe0) << 3 | littleEndian(block, from, 1);
        length = (length & 7) + MIN_MATCH;
        from++;
      } else {
        const size = (tag & 3) === COPY_2_BYTE_OFFSET ? 2 : 4;
        offset = littleEndian(block, from, size);
        length++;
        from += size;
      }
      if (from > block.length || offset === 0 || offset > at || at + length > to.length) throw damaged();
      copyMatch(to, at, offset, length);
    }
    at += length;
  }
  if (at !== to.length) throw damaged();
}

function readLength(block: Uint8Array): { length: number; next: number } {
  let length = 0;
  for (let at = 0; at < MAX_LENGTH_BYTES; at++) {
    const octet = block[at];
    if (octet === undefined) break;
    length += (octet & 0x7f) * 2 ** (7 * at);
    if (octet < 0x80) return { length, next: at + 1 };
  }
  throw damaged();
}

function putLength(to: ByteSink, length: number): void {
  for (; length >= 0x80; length >>>= 7) to.put8(length & 0x7f | 0x80);
  to.put8(length);
}

function putLiteral(to: ByteSink, bytes: Uint8Array): void {
  if (bytes.length === 0) return;
  const value = bytes.length - 1;
  if (value < LONG_LITERAL) to.put8(value << 2 | LITERAL);
  else {
    const extra = value < 0x100 ? 1 : 2;
    to.put8(LONG_LITERAL - 1 + extra << 2 | LITERAL);
    to.put8(value & 0xff);
    if (extra === 2) to.put8(value >> 8);
  }
  to.put(bytes);
}

function putCopies(to: ByteSink, offset: number, length: number): void {
  while (length > 0) {
    // A rest of less than 4 would need the longer form.
    const step = length > MAX_COPY && length < MAX_COPY + MIN_MATCH
      ? MAX_COPY - MIN_MATCH
      : Math.min(length, MAX_COPY);
    if (step >= MIN_MATCH && step < 12 && offset < 2_048) {
      to.put8(offset >> 8 << 5 | step - MIN_MATCH << 2 | COPY_1_BYTE_OFFSET);
      to.put8(offset & 0xff);
    } else {
      to.put8(step - 1 << 2 | COPY_2_BYTE_OFFSET);
      to.put8(offset & 0xff);
      to.put8(offset >> 8);
    }
    length -= step;
  }
}

function littleEndian(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (let i = size - 1; i >= 0; i--) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
}

function damaged(): Error {
  return new Error("the snappy data is damaged");
}
