import { BlockReader } from "./block_reader.ts";
import { DynamicTable } from "./dynamic_table.ts";
import { HpackError } from "./error.ts";
import { fieldBytes, type HeaderField } from "./header_field.ts";
import { readInteger } from "./integer.ts";
import { DEFAULT_TABLE_BYTES } from "./limits.ts";
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
   * Octets of the dynamic table at most: what SETTINGS_HEADER_TABLE_SIZE announces, DEFAULT_TABLE_BYTES (4096)
   * where it is not announced or less and not acknowledged yet (see setMaxTableBytes). The oldest entries are
   * evicted at the limit; a size update above it is a decoding error.
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
  /** Octets of all fields of the block, kept or not, as maxListBytes counts them. */
  readonly listBytes: number;
}

/** Blocks that are remembered: a client that makes the same call again and again sends the same octets each time. */
const REMEMBERED_BLOCKS = 4;
const REMEMBERED_BLOCK_BYTES = 256;

/** A block that changed nothing in the table, and what it means while the table stays as it was. */
interface RememberedBlock {
  readonly octets: Uint8Array;
  readonly changes: number;
  readonly headers: DecodedHeaders;
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
  #maxTableBytes: number;
  /** The limit was lowered below the size in use: the next block has to begin with a size update. */
  #sizeUpdateDue = false;
  readonly #remembered: RememberedBlock[] = [];
  #oldest = 0;

  /** Starts with the empty table of a new connection, of 4096 octets or less; the peer raises it by a size update. */
  constructor(options: HpackDecoderOptions) {
    this.#options = options;
    this.#maxTableBytes = options.maxTableBytes;
    this.#table = new DynamicTable(Math.min(options.maxTableBytes, DEFAULT_TABLE_BYTES));
  }

  /**
   * Sets the limit of the dynamic table, in octets: to be called when the peer has acknowledged it. Where that is
   * less than the size in use, the next block must begin with a size update (RFC 7541 §4.2, RFC 9113 §4.3.1).
   */
  setMaxTableBytes(maxTableBytes: number): void {
    this.#maxTableBytes = maxTableBytes;
    this.#sizeUpdateDue = this.#table.maxBytes > maxTableBytes;
  }

  /**
   * Decodes one header block. The same octets as a short while before give the same object, which must not be changed.
   *
   * @throws {HpackError} the block breaks a rule of RFC 7541; the decoder must not be used again
   */
  decode(block: Uint8Array): DecodedHeaders {
    const known = this.#recall(block);
    if (known !== undefined) return known;
    const { changes } = this.#table;
    const headers = this.#read(block);
    if (changes === this.#table.changes && block.length <= REMEMBERED_BLOCK_BYTES) {
      this.#remembered[this.#oldest] = { octets: block.slice(), changes, headers };
      this.#oldest = (this.#oldest + 1) % REMEMBERED_BLOCKS;
    }
    return headers;
  }

  #recall(block: Uint8Array): DecodedHeaders | undefined {
    if (this.#sizeUpdateDue) return undefined;
    for (const { octets, changes, headers } of this.#remembered) {
      if (changes === this.#table.changes && equal(octets, block)) return headers;
    }
    return undefined;
  }

  #read(block: Uint8Array): DecodedHeaders {
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
    return { fields, tooLarge, listBytes };
  }

  /** Size updates stand only at the start of a block (RFC 7541 §4.2). */
  #readSizeUpdates(reader: BlockReader): void {
    for (;;) {
      const first = reader.peek();
      if (first === undefined || first < SIZE_UPDATE.pattern || first >= LITERAL_INDEXED.pattern) break;
      reader.offset += 1;
      const size = readInteger(reader, first, SIZE_UPDATE.prefixBits);
      if (size > this.#maxTableBytes) {
        throw new HpackError(
          `Cannot resize dynamic table to ${size} octets: limit announced is ${this.#maxTableBytes}`,
        );
      }
      this.#table.resize(size);
      this.#sizeUpdateDue = false;
    }
    if (this.#sizeUpdateDue) {
      throw new HpackError(
        `Cannot decode header block: the table was limited to ${this.#maxTableBytes} octets, but no size update came`,
      );
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

function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
