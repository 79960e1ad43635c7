/** The Castagnoli polynomial, bits reversed (RFC 9260 Appendix A). */
const POLYNOMIAL = 0x82f63b78;

const TABLE = new Int32Array(256).map((_, octet) => {
  let crc = octet;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? crc >>> 1 ^ POLYNOMIAL : crc >>> 1;
  return crc;
});

/** CRC-32C of bytes, as an unsigned number. */
export function crc32c(bytes: Uint8Array): number {
  let crc = -1;
  for (const octet of bytes) crc = (TABLE[(crc ^ octet) & 0xff] ?? 0) ^ crc >>> 8;
  return ~crc >>> 0;
}
