/** UUIDs as 16 bytes, and as canonical texts: lower case, with dashes. */

export const UUID_BYTES = 16;

/** Characters of a text. */
export const UUID_TEXT_LENGTH = 36;

const VERSION_AT = 6;
const VERSION_7 = 0x70;
const LOW_AT = 10;
const LOW_END = 2 ** 48;

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** The character codes of the digits. */
const DIGITS = new TextEncoder().encode("0123456789abcdef");

/** The value of each lower-case hex digit by its character code; NO_DIGIT for every other one. */
const NO_DIGIT = 255;
const NIBBLE = new Uint8Array(128).fill(NO_DIGIT);
for (let value = 0; value < 16; value++) NIBBLE[value.toString(16).charCodeAt(0)] = value;

const DASH = 0x2d;
const DASHES_AT: readonly number[] = [8, 13, 18, 23];
/** Where the two digits of each byte are in the text. */
const DIGITS_AT = Uint8Array.of(0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34);

/** Writes the 16 bytes of a canonical text. False where it is none; what is written then means nothing. */
export function parseUuid(text: string, into: Uint8Array): boolean {
  if (text.length !== UUID_TEXT_LENGTH) return false;
  for (const at of DASHES_AT) if (text.charCodeAt(at) !== DASH) return false;
  let codes = 0;
  let nibbles = 0;
  for (let i = 0; i < UUID_BYTES; i++) {
    const at = DIGITS_AT[i] ?? 0;
    const left = text.charCodeAt(at);
    const right = text.charCodeAt(at + 1);
    codes |= left | right;
    const high = NIBBLE[left & 0x7f] ?? NO_DIGIT;
    const low = NIBBLE[right & 0x7f] ?? NO_DIGIT;
    nibbles |= high | low;
    into[i] = high << 4 | low;
  }
  return codes < 0x80 && nibbles < 0x10;
}

/** The canonical text of the UUID at a place, plus a number from 0 to below 2^48. */
export function formatUuid(bytes: Uint8Array, at = 0, plus = 0): string {
  if (carries(bytes, at, plus)) return formatUuid(sumOf(bytes, at, plus));
  let text = "";
  for (let i = 0; i < LOW_AT; i++) {
    text += HEX[bytes[at + i] ?? 0];
    if (i === 3 || i === 5 || i === 7 || i === 9) text += "-";
  }
  const low = lowOf(bytes, at) + plus;
  const [left, right] = [Math.floor(low / 0x100_0000), low % 0x100_0000];
  return text + HEX[left >>> 16] + HEX[left >>> 8 & 0xff] + HEX[left & 0xff] +
    HEX[right >>> 16] + HEX[right >>> 8 & 0xff] + HEX[right & 0xff];
}

/** Writes the same text as ASCII: without a string in between that takes a quarter of the time. */
export function putUuidText(into: Uint8Array, to: number, bytes: Uint8Array, at: number, plus: number): void {
  if (carries(bytes, at, plus)) return putUuidText(into, to, sumOf(bytes, at, plus), 0, 0);
  for (const dashAt of DASHES_AT) into[to + dashAt] = DASH;
  for (let i = 0; i < LOW_AT; i++) putHex(into, to + (DIGITS_AT[i] ?? 0), bytes[at + i] ?? 0);
  const low = lowOf(bytes, at) + plus;
  const [left, right] = [Math.floor(low / 0x100_0000), low % 0x100_0000];
  const end = to + UUID_TEXT_LENGTH;
  putHex(into, end - 12, left >>> 16);
  putHex(into, end - 10, left >>> 8 & 0xff);
  putHex(into, end - 8, left & 0xff);
  putHex(into, end - 6, right >>> 16);
  putHex(into, end - 4, right >>> 8 & 0xff);
  putHex(into, end - 2, right & 0xff);
}

function putHex(into: Uint8Array, at: number, byte: number): void {
  into[at] = DIGITS[byte >>> 4] ?? 0;
  into[at + 1] = DIGITS[byte & 0xf] ?? 0;
}

/**
 * The milliseconds since the epoch in the UUIDv7 (RFC 9562 §5.7) at a place, plus a number from 0 to below 2^48;
 * undefined for any other UUID.
 */
export function timeOfUuid(bytes: Uint8Array, at = 0, plus = 0): number | undefined {
  if (carries(bytes, at, plus)) return timeOfUuid(sumOf(bytes, at, plus));
  if (((bytes[at + VERSION_AT] ?? 0) & 0xf0) !== VERSION_7) return undefined;
  let time = 0;
  for (let i = at; i < at + 6; i++) time = time * 256 + (bytes[i] ?? 0);
  return time;
}

/** Adds a number from 0 to below 2^48 to the UUID at a place, as to one of 128 bits, big-endian; modulo 2^128. */
export function addToUuid(bytes: Uint8Array, at: number, count: number): void {
  for (let i = at + UUID_BYTES - 1; i >= at && count > 0; i--) {
    const sum = (bytes[i] ?? 0) + count;
    bytes[i] = sum % 256;
    count = Math.floor(sum / 256);
  }
}

/** Whether one UUID of 16 bytes is another one plus one. */
export function isNextUuid(uuid: Uint8Array, next: Uint8Array): boolean {
  let carry = 1;
  for (let i = UUID_BYTES - 1; i >= 0; i--) {
    const sum = (uuid[i] ?? 0) + carry;
    if ((sum & 0xff) !== next[i]) return false;
    carry = sum >>> 8;
  }
  return true;
}

/** Whether adding to a UUID changes more than its last 6 bytes. */
function carries(bytes: Uint8Array, at: number, plus: number): boolean {
  return plus > 0 && lowOf(bytes, at) + plus >= LOW_END;
}

function lowOf(bytes: Uint8Array, at: number): number {
  let low = 0;
  for (let i = at + LOW_AT; i < at + UUID_BYTES; i++) low = low * 256 + (bytes[i] ?? 0);
  return low;
}

function sumOf(bytes: Uint8Array, at: number, plus: number): Uint8Array {
  const sum = bytes.slice(at, at + UUID_BYTES);
  addToUuid(sum, 0, plus);
  return sum;
}
