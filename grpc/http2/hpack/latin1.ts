/**
 * The octets from `start` to `end` as a byte string.
 *
 * `TextDecoder("latin1")` is no help: by the Encoding standard it means windows-1252, which moves 0x80 to
 * 0x9F. Eight octets at a time measured fastest for the lengths that headers have.
 */
export function latin1FromBytes(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  let at = start;
  for (; at + 8 <= end; at += 8) {
    text += String.fromCharCode(
      bytes[at] ?? 0,
      bytes[at + 1] ?? 0,
      bytes[at + 2] ?? 0,
      bytes[at + 3] ?? 0,
      bytes[at + 4] ?? 0,
      bytes[at + 5] ?? 0,
      bytes[at + 6] ?? 0,
      bytes[at + 7] ?? 0,
    );
  }
  for (; at < end; at += 1) text += String.fromCharCode(bytes[at] ?? 0);
  return text;
}
