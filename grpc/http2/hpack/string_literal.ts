import type { BlockReader } from "./block_reader.ts";
import type { BlockWriter } from "./block_writer.ts";
import { HpackError } from "./error.ts";
import { decodeHuffman, encodeHuffman, huffmanLength } from "./huffman.ts";
import { readInteger, writeInteger } from "./integer.ts";
import { latin1FromBytes } from "./latin1.ts";

/** Set in the first octet of a string that is Huffman coded. */
const HUFFMAN_FLAG = 0x80;
const LENGTH_PREFIX_BITS = 7;

/**
 * Reads a string literal as a byte string (RFC 7541 §5.2).
 *
 * @throws {HpackError} the string does not fit into the rest of the block, or is not a valid Huffman string
 */
export function readString(reader: BlockReader): string {
  const first = reader.next();
  const length = readInteger(reader, first, LENGTH_PREFIX_BITS);
  if (length > reader.remaining) {
    throw new HpackError(
      `Cannot decode string: its length is ${length} octets, the block has ${reader.remaining} left`,
    );
  }
  const start = reader.offset;
  const end = start + length;
  reader.offset = end;
  if ((first & HUFFMAN_FLAG) !== 0) return decodeHuffman(reader.bytes, start, end);
  return latin1FromBytes(reader.bytes, start, end);
}

/**
 * Appends a byte string as a string literal, Huffman coded where that is shorter (RFC 7541 §5.2). Where both
 * are equally long it stays plain, for that is read faster.
 *
 * @throws {RangeError} `text` has a character above U+00FF; nothing is written then
 */
export function writeString(writer: BlockWriter, text: string): void {
  const codedLength = huffmanLength(text);
  if (codedLength < text.length) {
    writeInteger(writer, HUFFMAN_FLAG, LENGTH_PREFIX_BITS, codedLength);
    writer.reserve(codedLength);
    encodeHuffman(text, writer.slab, writer.end);
    writer.end += codedLength;
    return;
  }
  writeInteger(writer, 0, LENGTH_PREFIX_BITS, text.length);
  writer.reserve(text.length);
  const { slab, end } = writer;
  for (let index = 0; index < text.length; index += 1) slab[end + index] = text.charCodeAt(index);
  writer.end = end + text.length;
}
