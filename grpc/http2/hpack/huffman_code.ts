/** The symbol that ends a Huffman string: never written, and an error when it is read (RFC 7541 §5.2). */
export const END_OF_STRING = 256;

/**
 * Bits of each symbol's code, from RFC 7541 Appendix B: sixteen octets to a row, then END_OF_STRING.
 * The code is canonical, so the lengths say everything; the codes are counted up from them.
 */
const CODE_LENGTHS = `
  13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28
  28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
   6 10 10 12 13  6  8 11 10 10  8 11  8  6  6  6
   5  5  5  6  6  6  6  6  6  6  7  8 15  6 12 10
  13  6  7  7  7  7  7  7  7  7  7  7  7  7  7  7
   7  7  7  7  7  7  7  7  8  7  8 13 19 13 14  6
  15  5  6  5  6  5  6  6  6  5  7  7  6  6  6  5
   6  7  6  5  5  6  7  7  7  7  7 15 11 14 13 28
  20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23
  24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24
  22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23
  21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23
  26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25
  19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27
  20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23
  26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26
  30
`;

/** A symbol of the Huffman code. */
export interface HuffmanSymbol {
  /** An octet, or {@link END_OF_STRING}. */
  readonly symbol: number;
  /** The code, in the low {@link HuffmanSymbol.bits} bits. */
  readonly code: number;
  /** Length of the code: 5 to 30. */
  readonly bits: number;
}

/** All 257 symbols of the HPACK Huffman code, shortest code first (RFC 7541 Appendix B). */
export const HUFFMAN_CODE: readonly HuffmanSymbol[] = assignCodes(
  CODE_LENGTHS.trim().split(/\s+/).map(Number),
);

/** Canonical assignment: by length, then by symbol, each code is the one before it plus one. */
function assignCodes(lengths: readonly number[]): HuffmanSymbol[] {
  const ordered = lengths
    .map((bits, symbol) => ({ bits, symbol }))
    .sort((a, b) => a.bits - b.bits || a.symbol - b.symbol);
  let next = 0;
  let nextBits = 0;
  return ordered.map(({ bits, symbol }) => {
    const code = next << (bits - nextBits);
    next = code + 1;
    nextBits = bits;
    return { symbol, code, bits };
  });
}
