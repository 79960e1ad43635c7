import type { HeaderField } from "./header_field.ts";

/** What the table has under one name. */
interface IndexedName {
  /** Sequence number of the newest entry with the name. */
  newest: number;
  /** Sequence number of the entry for each value. */
  readonly values: Map<string, number>;
}

/**
 * Finds entries of the encoder's dynamic table by name and value without a scan.
 *
 * Entries are known by sequence number, the count of insertions before them, for that stays true as the table
 * moves. Holds exactly the entries of the table, when told of every insertion and eviction.
 */
export class FieldIndex {
  readonly #names = new Map<string, IndexedName>();

  /** Sequence number of the entry with this name and value; undefined where there is none. */
  ofField(name: string, value: string): number | undefined {
    return this.#names.get(name)?.values.get(value);
  }

  /** Sequence number of the newest entry with this name; undefined where there is none. */
  ofName(name: string): number | undefined {
    return this.#names.get(name)?.newest;
  }

  /** Notes that the table took in `field`. */
  add(field: HeaderField, sequence: number): void {
    const known = this.#names.get(field.name);
    if (known === undefined) {
      this.#names.set(field.name, { newest: sequence, values: new Map([[field.value, sequence]]) });
      return;
    }
    known.newest = sequence;
    known.values.set(field.value, sequence);
  }

  /** Notes that `field` left the table; a newer entry with the same name or value stays known. */
  remove(field: HeaderField, sequence: number): void {
    const known = this.#names.get(field.name);
    if (known === undefined) return;
    if (known.values.get(field.value) === sequence) known.values.delete(field.value);
    // Entries leave oldest first, so once the newest is gone no other with the name is left.
    if (known.newest === sequence) this.#names.delete(field.name);
  }
}
