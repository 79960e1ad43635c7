/**
 * What a newer version says of a message that this one does not know: fields of MessageEnvelope from number 9 on. They
 * stand behind the entries of the headers, as they came, and are kept, passed on and erased with these.
 *
 * @module
 */

/** The first field that this version does not know. */
export const FIRST_LATER_FIELD = 9;
/** The tag byte from which on it is one of those: field number × 8 + wire type, or a part of it. */
export const FIRST_LATER_TAG = FIRST_LATER_FIELD << 3;

const ENTRY = 0x32;
/** Bytes of a varint of 64 bits, and of one of 32. */
const VARINT_BYTES = 10;
const TAG_BYTES = 5;
const MAX_TAG = 0xffff_ffff;

/** Whether fields of a wire type are kept: varint, 64 bits, length-delimited and 32 bits; groups are of no version. */
export function isKeptWireType(wireType: number): boolean {
  return wireType === 0 || wireType === 1 || wireType === 2 || wireType === 5;
}

/** Where a field ends that begins, with its tag, at a place; -1 where there is none that is whole and later. */
export function laterFieldEnd(bytes: Uint8Array, from: number, end: number): number {
  const tagEnd = varintEnd(bytes, from, Math.min(end, from + TAG_BYTES));
  const tag = tagEnd < 0 ? 0 : varintAt(bytes, from, tagEnd);
  if (tag < FIRST_LATER_TAG || tag > MAX_TAG) return -1;
  switch (tag % 8) {
    case 0:
      return varintEnd(bytes, tagEnd, Math.min(end, tagEnd + VARINT_BYTES));
    case 1:
      return tagEnd + 8 <= end ? tagEnd + 8 : -1;
    case 2: {
      const at = varintEnd(bytes, tagEnd, Math.min(end, tagEnd + TAG_BYTES));
      if (at < 0) return -1;
      const last = at + varintAt(bytes, tagEnd, at);
      return last <= end ? last : -1;
    }
    case 5:
      return tagEnd + 4 <= end ? tagEnd + 4 : -1;
    default:
      return -1;
  }
}

/** The number of a field that begins, with its tag, at a place. */
export function fieldNumber(bytes: Uint8Array, from: number): number {
  return Math.floor(varintAt(bytes, from, varintEnd(bytes, from, bytes.length)) / 8);
}

/** The entries of headers, without what stands behind them. */
export function entriesOfHeaders(headers: Uint8Array): Uint8Array {
  let at = 0;
  while (at < headers.length && headers[at] === ENTRY) {
    const lengthEnd = varintEnd(headers, at + 1, headers.length);
    if (lengthEnd < 0) break;
    at = lengthEnd + varintAt(headers, at + 1, lengthEnd);
  }
  return at === headers.length ? headers : headers.subarray(0, at);
}

function varintEnd(bytes: Uint8Array, from: number, end: number): number {
  for (let at = from; at < end; at++) if ((bytes[at] ?? 0) < 0x80) return at + 1;
  return -1;
}

function varintAt(bytes: Uint8Array, from: number, end: number): number {
  let value = 0;
  for (let at = from, factor = 1; at < end; at++, factor *= 0x80) value += ((bytes[at] ?? 0) & 0x7f) * factor;
  return value;
}
