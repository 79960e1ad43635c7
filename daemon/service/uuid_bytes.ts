/** Bytes of a UUID. */
export const UUID_BYTES = 16;

/** Writes the bytes of a UUID in its canonical text form, which has lower-case digits; returns where they end. */
export function putUuid(bytes: Uint8Array, at: number, text: string): number {
  let high = -1;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === DASH) continue;
    const digit = code < LETTER_A ? code - ZERO : code - LETTER_A + 10;
    if (high < 0) high = digit;
    else {
      bytes[at++] = high << 4 | digit;
      high = -1;
    }
  }
  return at;
}

const DASH = 0x2d;
const ZERO = 0x30;
const LETTER_A = 0x61;
