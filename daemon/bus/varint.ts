/** Bytes of a safe integer as a varint of protobuf. */
export function varintBytes(value: number): number {
  let count = 1;
  for (; value >= 0x80; value = Math.floor(value / 0x80)) count++;
  return count;
}

/** Writes a safe integer as a varint; returns where the next field begins. */
export function putVarint(bytes: Uint8Array, at: number, value: number): number {
  // Bit operations hold 32 bits only: larger values give their lower groups by division first.
  for (; value > 0x7fff_ffff; value = Math.floor(value / 0x80)) bytes[at++] = (value % 0x80) | 0x80;
  for (; value > 0x7f; value >>>= 7) bytes[at++] = (value & 0x7f) | 0x80;
  bytes[at++] = value;
  return at;
}
