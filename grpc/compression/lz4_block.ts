import type { ByteSink } from "./byte_sink.ts";
import { copyMatch, findMatches } from "./matches.ts";

const MIN_MATCH = 4;
/** The last match begins this far before the end at the latest, and the last literals are this many (LZ4 block format, End of block conditions). */
const LAST_MATCH_MARGIN = 12;
const LAST_LITERALS = 5;
/** A length in a half of the token that goes on behind it. */
const LONG = 15;

/** Compresses at most 65,536 bytes. */
export function compressBlock(bytes: Uint8Array, to: ByteSink): void {
  const rest = findMatches(
    bytes,
    0,
    bytes.length,
    LAST_MATCH_MARGIN,
    LAST_LITERALS,
    (from, end, offset, length) => {
      putLiterals(to, bytes.subarray(from, end), length - MIN_MATCH);
      to.put8(offset & 0xff);
      to.put8(offset >> 8);
      putLength(to, length - MIN_MATCH);
    },
  );
  putLiterals(to, bytes.subarray(rest), 0);
}

/** Adds what was compressed to `to`; repetitions may reach back to `floor`. Throws when the block is damaged. */
export function decompressBlock(block: Uint8Array, to: ByteSink, floor: number): void {
  let from = 0;
  const longLength = (length: number): number => {
    if (length < LONG) return length;
    let octet: number;
    do {
      if (from >= block.length) throw damaged();
      octet = block[from++] ?? 0;
      length += octet;
    } while (octet === 255);
    return length;
  };
  for (;;) {
    if (from >= block.length) throw damaged();
    const token = block[from++] ?? 0;
    const literals = longLength(token >> 4);
    if (from + literals > block.length) throw damaged();
    to.put(block.subarray(from, from += literals));
    if (from === block.length) return;
    if (from + 2 > block.length) throw damaged();
    const offset = (block[from] ?? 0) | (block[from + 1] ?? 0) << 8;
    from += 2;
    const length = longLength(token & 15) + MIN_MATCH;
    if (offset === 0 || offset > to.length - floor) throw damaged();
    const at = to.add(length);
    copyMatch(to.bytes, at, offset, length);
  }
}

function putLiterals(to: ByteSink, literals: Uint8Array, matchLength: number): void {
  to.put8(Math.min(literals.length, LONG) << 4 | Math.min(matchLength, LONG));
  putLength(to, literals.length);
  to.put(literals);
}

/** What a half of the token could not say. */
function putLength(to: ByteSink, length: number): void {
  if (length < LONG) return;
  for (length -= LONG; length >= 255; length -= 255) to.put8(255);
  to.put8(length);
}

function damaged(): Error {
  return new Error("the lz4 data is damaged");
}
