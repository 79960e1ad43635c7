/** Shorter repetitions are not worth their description, in Snappy as in LZ4. */
const MIN_MATCH = 4;
const HASH_BITS = 14;
/** After this many looks in vain, steps grow: data that does not compress is passed over quickly. */
const LOOKS_PER_STEP_BITS = 5;

/** Where the last four bytes with a hash stood, plus one. One table serves all: it is emptied for each block. */
const table = new Uint16Array(1 << HASH_BITS);

/** What a block consists of: `literals` to take as they are, then `length` bytes from `offset` bytes before. */
export type OnMatch = (literalsFrom: number, literalsTo: number, offset: number, length: number) => void;

/**
 * Finds repetitions in `bytes` from `from` to `to`, at most 65,536 bytes, by looking each four bytes up in a table of
 * hashes (greedy, one candidate). No match begins in the last `margin` bytes or reaches into the last `tail`. Returns
 * where the literals after the last match begin.
 */
export function findMatches(
  bytes: Uint8Array,
  from: number,
  to: number,
  margin: number,
  tail: number,
  onMatch: OnMatch,
): number {
  table.fill(0);
  const lastStart = to - Math.max(margin, MIN_MATCH);
  const matchEnd = to - tail;
  let literalsFrom = from;
  let looks = 1 << LOOKS_PER_STEP_BITS;
  for (let at = from; at <= lastStart;) {
    const word = wordAt(bytes, at);
    const slot = Math.imul(word, 0x9e3779b1) >>> (32 - HASH_BITS);
    const candidate = from + (table[slot] ?? 0) - 1;
    table[slot] = at - from + 1;
    if (candidate < from || wordAt(bytes, candidate) !== word) {
      at += looks++ >> LOOKS_PER_STEP_BITS;
      continue;
    }
    let end = at + MIN_MATCH;
    for (let back = candidate + MIN_MATCH; end < matchEnd && bytes[end] === bytes[back];) {
      end++;
      back++;
    }
    onMatch(literalsFrom, at, at - candidate, end - at);
    looks = 1 << LOOKS_PER_STEP_BITS;
    at = literalsFrom = end;
  }
  return literalsFrom;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | (bytes[at + 1] ?? 0) << 8 | (bytes[at + 2] ?? 0) << 16 |
    (bytes[at + 3] ?? 0) << 24;
}

/** Copies `length` bytes from `offset` bytes before `at`; where both overlap, what was copied is copied again. */
export function copyMatch(bytes: Uint8Array, at: number, offset: number, length: number): void {
  if (offset >= length) {
    bytes.copyWithin(at, at - offset, at - offset + length);
    return;
  }
  for (let i = at; i < at + length; i++) bytes[i] = bytes[i - offset] ?? 0;
}
