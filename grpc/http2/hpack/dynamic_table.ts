import { fieldBytes, type HeaderField } from "./header_field.ts";

/** Slots of a new ring; it doubles when full, so its memory follows the entries there really are. */
const INITIAL_SLOTS = 16;

/** Called for each entry that leaves the table; `sequence` counts all insertions, from 0. */
export type EvictionListener = (field: HeaderField, sequence: number) => void;

/**
 * The dynamic table (RFC 7541 §2.3.2): first in, first out, bounded by octets.
 *
 * An entry counts name + value + 32 octets (§4.1); the oldest leave when there is no room (§4.3, §4.4), so an
 * insertion costs constant time over the life of the table.
 */
export class DynamicTable {
  #maxBytes: number;
  #bytes = 0;
  #inserted = 0;
  #changes = 0;
  #length = 0;
  /** Entry with sequence number n is in slot n mod the slots, which are a power of two. */
  #slots: (HeaderField | undefined)[] = new Array(INITIAL_SLOTS).fill(undefined);
  readonly #onEvict: EvictionListener | undefined;

  /**
   * @param maxBytes size limit in octets, at least 0
   * @param onEvict told of each entry that leaves
   */
  constructor(maxBytes: number, onEvict?: EvictionListener) {
    this.#maxBytes = maxBytes;
    this.#onEvict = onEvict;
  }

  /** Entries in the table. */
  get length(): number {
    return this.#length;
  }

  /** Octets in use, never above {@link DynamicTable.maxBytes}. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The size limit in octets. */
  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** Insertions since the table was made; the newest entry has the sequence number one below. */
  get inserted(): number {
    return this.#inserted;
  }

  /** Counts insertions and changes of the size: while it stays, every index means the same. */
  get changes(): number {
    return this.#changes;
  }

  /** The entry at `position`, where 0 is the newest; undefined where there is none. */
  get(position: number): HeaderField | undefined {
    if (position < 0 || position >= this.#length) return undefined;
    return this.#slots[this.#slotOf(this.#inserted - 1 - position)];
  }

  /**
   * Adds an entry, after evicting the oldest to make room. One larger than the whole table empties it and is
   * not added, which is no error (RFC 7541 §4.4).
   *
   * @returns whether the entry was added
   */
  insert(field: HeaderField): boolean {
    this.#changes += 1;
    const size = fieldBytes(field);
    this.#evictDownTo(this.#maxBytes - size);
    if (size > this.#maxBytes) return false;
    if (this.#length === this.#slots.length) this.#grow();
    this.#slots[this.#slotOf(this.#inserted)] = field;
    this.#inserted += 1;
    this.#length += 1;
    this.#bytes += size;
    return true;
  }

  /** Sets the size limit in octets and evicts the oldest entries until it holds (RFC 7541 §4.3). */
  resize(maxBytes: number): void {
    this.#changes += 1;
    this.#maxBytes = maxBytes;
    this.#evictDownTo(maxBytes);
  }

  #evictDownTo(bytes: number): void {
    while (this.#length > 0 && this.#bytes > bytes) {
      const sequence = this.#inserted - this.#length;
      const slot = this.#slotOf(sequence);
      const oldest = this.#slots[slot];
      this.#slots[slot] = undefined;
      this.#length -= 1;
      if (oldest === undefined) continue;
      this.#bytes -= fieldBytes(oldest);
      this.#onEvict?.(oldest, sequence);
    }
  }

  #slotOf(sequence: number): number {
    // Bitwise operators take the low 32 bits, which is all that a power of two needs, however high the count
    // is.
    return sequence & (this.#slots.length - 1);
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Array(before.length * 2).fill(undefined);
    for (let sequence = this.#inserted - this.#length; sequence < this.#inserted; sequence += 1) {
      this.#slots[this.#slotOf(sequence)] = before[sequence & (before.length - 1)];
    }
  }
}
