/** Openings that a store remembers at most. The oldest is forgotten first: what was named by it is not known any more. */
export const MAX_OPENINGS = 10_000;

/**
 * The time from one opening of a store to the next, by which its sequences are told from those of a copy. The store
 * keeps a record of it from the first message on that it stores: two copies that know the same opening have the same
 * messages up to where the shorter of them left it, because whatever a copy stores after that begins another one.
 */
export interface Opening {
  /** A UUID made when the store was opened. */
  readonly id: string;
  /** The last sequence before it; 0 where there was none. */
  readonly after: number;
  /** The newest one before it that stored a message; "" where there was none. */
  readonly before: string;
}

/** See `Store.openingOf`. */
export function openingOf({ id, after, before }: Opening, sequence: number): string {
  if (sequence === 0) return "";
  return sequence > after ? id : before;
}
