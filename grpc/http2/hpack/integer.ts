import type { BlockReader } from "./block_reader.ts";
import type { BlockWriter } from "./block_writer.ts";
import { HpackError } from "./error.ts";
import { MAX_INTEGER, MAX_INTEGER_CONTINUATION_OCTETS } from "./limits.ts";

/**
 * Reads an integer with an N-bit prefix (RFC 7541 §5.1).
 *
 * @param first the octet that holds the prefix, already read; its bits above the prefix are ignored
 * @param prefixBits N, 1 to 8
 * @throws {HpackError} above MAX_INTEGER, after MAX_INTEGER_CONTINUATION_OCTETS, or at the end of the block
 */
export function readInteger(reader: BlockReader, first: number, prefixBits: number): number {
  const prefixMax = (1 << prefixBits) - 1;
  const prefix = first & prefixMax;
  if (prefix < prefixMax) return prefix;

  let value = prefix;
  let weight = 1;
  for (let count = 0; count < MAX_INTEGER_CONTINUATION_OCTETS; count += 1) {
    const octet = reader.next();
    // A product, not a shift: the fifth octet goes past 32 bits and has to be seen doing so.
    value += (octet & 0x7f) * weight;
    if (value > MAX_INTEGER) {
      throw new HpackError(`Cannot decode integer: it is ${value} or more, limit is ${MAX_INTEGER}`);
    }
    if (octet < 0x80) return value;
    weight *= 0x80;
  }
  throw new HpackError(
    `Cannot decode integer: it has more than ${MAX_INTEGER_CONTINUATION_OCTETS} continuation octets`,
  );
}

/**
 * Appends an integer with an N-bit prefix (RFC 7541 §5.1).
 *
 * @param pattern the bits of the first octet above the prefix, which say what the integer is for
 * @param prefixBits N, 1 to 8
 * @param value 0 to MAX_INTEGER
 */
export function writeInteger(writer: BlockWriter, pattern: number, prefixBits: number, value: number): void {
  const prefixMax = (1 << prefixBits) - 1;
  if (value < prefixMax) {
    writer.write(pattern | value);
    return;
  }
  writer.write(pattern | prefixMax);
  let rest = value - prefixMax;
  while (rest >= 0x80) {
    writer.write(0x80 | (rest & 0x7f));
    rest >>>= 7;
  }
  writer.write(rest);
}
