import { BlockWriter } from "./block_writer.ts";
import { DynamicTable } from "./dynamic_table.ts";
import { FieldIndex } from "./field_index.ts";
import { fieldBytes, type HeaderField } from "./header_field.ts";
import { writeInteger } from "./integer.ts";
import { DEFAULT_TABLE_BYTES } from "./limits.ts";
import {
  INDEXED,
  LITERAL_INDEXED,
  LITERAL_NEVER_INDEXED,
  LITERAL_PLAIN,
  SIZE_UPDATE,
} from "./representation.ts";
import { STATIC_TABLE_LENGTH, staticIndexOfField, staticIndexOfName } from "./static_table.ts";
import { writeString } from "./string_literal.ts";

/** Names whose value is new on nearly every call: in the table they would only push out what comes again. */
const NEVER_REPEATED: ReadonlySet<string> = new Set([
  "content-length",
  "grpc-message",
  "grpc-status-details-bin",
  "grpc-timeout",
  "grpc-trace-bin",
  "traceparent",
  "tracestate",
]);

/** The limits that an encoder keeps. */
export interface HpackEncoderOptions {
  /**
   * Octets of the dynamic table at most, even where the peer allows more; 0 turns the table off. Until the
   * peer's SETTINGS are known no more than DEFAULT_TABLE_BYTES (4096) are used. The oldest entries are
   * evicted at the limit.
   */
  readonly maxTableBytes: number;
}

/**
 * Encodes the header blocks of one direction of a connection (RFC 7541).
 *
 * Every block returned must be sent, whole and in order, for the peer's table follows from the blocks before.
 * A field sent once takes one octet from then on (two past index 126), except where it is sensitive, nearly
 * never repeated, or larger than half of the table.
 */
export class HpackEncoder {
  readonly #maxTableBytes: number;
  readonly #writer = new BlockWriter();
  readonly #index = new FieldIndex();
  readonly #table: DynamicTable;
  /** Size of the peer's table, as the blocks so far have told it. */
  #peerTableBytes = DEFAULT_TABLE_BYTES;
  /**
   * The table was emptied since the last block, which the peer has to be told even if the size is the same
   * again.
   */
  #emptied = false;

  /** Starts with the empty table of a new connection. */
  constructor(options: HpackEncoderOptions) {
    this.#maxTableBytes = options.maxTableBytes;
    this.#table = new DynamicTable(
      DEFAULT_TABLE_BYTES,
      (field, sequence) => this.#index.remove(field, sequence),
    );
    this.setMaxTableBytes(DEFAULT_TABLE_BYTES);
  }

  /**
   * Takes over the peer's SETTINGS_HEADER_TABLE_SIZE, in octets; the table uses the lower of it and the
   * option. The next block tells the peer (RFC 7541 §4.2).
   */
  setMaxTableBytes(maxTableBytes: number): void {
    const bytes = Math.min(maxTableBytes, this.#maxTableBytes);
    const { maxBytes } = this.#table;
    // Lowered and raised again between two blocks, the peer has to be told both sizes. We tell 0 for the
    // lower one, for Go's decoder takes a second update only while its table is empty (golang/go#29187).
    if (maxBytes < this.#peerTableBytes && bytes > maxBytes) this.#empty();
    this.#table.resize(bytes);
  }

  /**
   * Encodes one header block. The octets belong to the caller; the buffer they are a view of is shared with
   * other blocks, so it must not be transferred.
   *
   * @throws {RangeError} a name or value has a character above U+00FF. Nothing needs to be sent for the
   * failed block and the encoder stays usable; the next block empties the peer's table.
   */
  encode(fields: readonly HeaderField[]): Uint8Array {
    this.#writeSizeUpdates();
    for (const field of fields) {
      try {
        this.#writeField(field);
      } catch (cause) {
        this.#abandonBlock();
        throw new RangeError(
          `Cannot encode header "${field.name}": name and value must be byte strings, up to U+00FF`,
          { cause },
        );
      }
    }
    return this.#writer.take();
  }

  #writeSizeUpdates(): void {
    const { maxBytes } = this.#table;
    if (!this.#emptied && maxBytes === this.#peerTableBytes) return;
    if (this.#emptied) this.#write(SIZE_UPDATE, 0);
    this.#write(SIZE_UPDATE, maxBytes);
    this.#emptied = false;
    this.#peerTableBytes = maxBytes;
  }

  #writeField(field: HeaderField): void {
    const { name, value } = field;
    if (field.sensitive === true) {
      this.#writeLiteral(LITERAL_NEVER_INDEXED, name, value);
      return;
    }
    const index = staticIndexOfField(name, value) || this.#dynamicIndex(this.#index.ofField(name, value));
    if (index !== 0) {
      this.#write(INDEXED, index);
      return;
    }
    if (NEVER_REPEATED.has(name) || fieldBytes(field) > this.#table.maxBytes / 2) {
      this.#writeLiteral(LITERAL_PLAIN, name, value);
      return;
    }
    this.#writeLiteral(LITERAL_INDEXED, name, value);
    // A copy: the table must not change when the caller's object does.
    const entry: HeaderField = { name, value };
    this.#table.insert(entry);
    this.#index.add(entry, this.#table.inserted - 1);
  }

  #writeLiteral(kind: { pattern: number; prefixBits: number }, name: string, value: string): void {
    const nameIndex = staticIndexOfName(name) || this.#dynamicIndex(this.#index.ofName(name));
    this.#write(kind, nameIndex);
    if (nameIndex === 0) writeString(this.#writer, name);
    writeString(this.#writer, value);
  }

  #write(kind: { pattern: number; prefixBits: number }, value: number): void {
    writeInteger(this.#writer, kind.pattern, kind.prefixBits, value);
  }

  /** The index (RFC 7541 §2.3.3) of an entry of the dynamic table; 0 where there is none. */
  #dynamicIndex(sequence: number | undefined): number {
    return sequence === undefined ? 0 : STATIC_TABLE_LENGTH + this.#table.inserted - sequence;
  }

  /** The peer never sees the entries that the block added, so both tables start again from empty. */
  #abandonBlock(): void {
    this.#writer.abandon();
    this.#empty();
  }

  #empty(): void {
    const { maxBytes } = this.#table;
    this.#table.resize(0);
    this.#table.resize(maxBytes);
    this.#emptied = true;
  }
}
