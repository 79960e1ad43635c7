import { BlockReader } from "./block_reader.ts";
import { DynamicTable } from "./dynamic_table.ts";
import { HpackError } from "./error.ts";
import { fieldBytes, type HeaderField } from "./header_field.ts";
import { readInteger } from "./integer.ts";
import {
  INDEXED,
  LITERAL_INDEXED,
  LITERAL_NEVER_INDEXED,
  LITERAL_PLAIN,
  SIZE_UPDATE,
} from "./representation.ts";
import { STATIC_TABLE, STATIC_TABLE_LENGTH } from "./static_table.ts";
import { readString } from "./string_literal.ts";

/** The limits that a decoder keeps. */
export interface HpackDecoderOptions {
  /**
   * Octets of the dynamic table: what SETTINGS_HEADER_TABLE_SIZE announces, DEFAULT_TABLE_BYTES (4096) where
   * it is not announced. The oldest entries are evicted at the limit; a size update above it is a decoding
   * error. Announce no less than 4096: until the peer has acknowledged a lower value it may still count with
   * 4096.
   */
  readonly maxTableBytes: number;
  /**
   * Octets of one block's fields, name + value + 32 each: SETTINGS_MAX_HEADER_LIST_SIZE. See DecodedHeaders.
   */
  readonly maxListBytes: number;
  /** Fields of one block. See DecodedHeaders. */
  readonly maxFields: number;
}

/** The fields of one header block. */
export interface DecodedHeaders {
  /** In the order of the block. The objects may be shared with other blocks. */
  readonly fields: readonly HeaderField[];
  /**
   * The block went over maxListBytes or maxFields. It was decoded to its end, so that the table stays in step
   * and the connection can go on, but `fields` ends before the first field that did not fit.
   */
  readonly tooLarge: boolean;
}

/**
 * Decodes the header blocks of one direction of a connection (RFC 7541).
 *
 * Every block must be given, whole and in the order of arrival. Work is linear in the octets of a block, and
 * what is kept is bounded by the options, however far a block would expand.
 */
export class HpackDecoder {
  readonly #options: HpackDecoderOptions;
  readonly #table: DynamicTable;

  /** Starts with the empty table of a new connection, at its full size of `maxTableBytes`. */
  constructor(options: HpackDecoderOptions) {
    this.#options = options;
    this.#table = new DynamicTable(options.maxTableBytes);
  }

  /**
   * Decodes one header block.
   *
   * @throws {HpackError} the block breaks a rule of RFC 7541; the decoder must not be used again
   */
  decode(block: Uint8Array): DecodedHeaders {
    const { maxListBytes, maxFields } = this.#options;
    const reader = new BlockReader(block);
    const fields: HeaderField[] = [];
    let listBytes = 0;
    let tooLarge = false;

    this.#readSizeUpdates(reader);
    while (reader.remaining > 0) {
      const field = this.#readField(reader);
      // Neither sum ever goes down, so nothing after the first field that does not fit is kept either.
      listBytes += fieldBytes(field);
      if (listBytes > maxListBytes || fields.length >= maxFields) tooLarge = true;
      else fields.push(field);
    }
    return { fields, tooLarge };
  }

  /** Size updates stand only at the start of a block (RFC 7541 §4.2). */
  #readSizeUpdates(reader: BlockReader): void {
    for (;;) {
      const first = reader.peek();
      if (first === undefined || first < SIZE_UPDATE.pattern || first >= LITERAL_INDEXED.pattern) return;
      reader.offset += 1;
      const size = readInteger(reader, first, SIZE_UPDATE.prefixBits);
      if (size > this.#options.maxTableBytes) {
        throw new HpackError(
          `Cannot resize dynamic table to ${size} octets: limit announced is ${this.#options.maxTableBytes}`,
        );
      }
      this.#table.resize(size);
    }
  }

  #readField(reader: BlockReader): HeaderField {
    const first = reader.next();
    if (first >= INDEXED.pattern) {
      return this.#entryAt(readInteger(reader, first, INDEXED.prefixBits));
    }
    if (first >= LITERAL_INDEXED.pattern) {
      const name = this.#readName(reader, readInteger(reader, first, LITERAL_INDEXED.prefixBits));
      const field: HeaderField = { name, value: readString(reader) };
      this.#table.insert(field);
      return field;
    }
    if (first >= SIZE_UPDATE.pattern) {
      throw new HpackError("Cannot decode header block: a table size update follows a field; send it first");
    }
    const name = this.#readName(reader, readInteger(reader, first, LITERAL_PLAIN.prefixBits));
    const value = readString(reader);
    return first >= LITERAL_NEVER_INDEXED.pattern ? { name, value, sensitive: true } : { name, value };
  }

  /** The name of a literal: from the table, or where the index is 0 from the block. */
  #readName(reader: BlockReader, index: number): string {
    return index === 0 ? readString(reader) : this.#entryAt(index).name;
  }

  /** The field at an index of the one address space of both tables (RFC 7541 §2.3.3). */
  #entryAt(index: number): HeaderField {
    const field = index <= STATIC_TABLE_LENGTH
      ? STATIC_TABLE[index]
      : this.#table.get(index - STATIC_TABLE_LENGTH - 1);
    if (field === undefined) {
      throw new HpackError(
        `Cannot look up header field ${index}: indices go from 1 to ${
          STATIC_TABLE_LENGTH + this.#table.length
        }`,
      );
    }
    return field;
  }
}
