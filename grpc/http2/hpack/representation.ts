/**
 * How a field begins in a header block (RFC 7541 §6): the bits of its first octet above the prefix, and the
 * bits of the integer prefix below them. The order by value is the order in which a decoder can tell them
 * apart.
 */
export const INDEXED = { pattern: 0x80, prefixBits: 7 } as const;
/** Literal that both ends add to the dynamic table (§6.2.1). */
export const LITERAL_INDEXED = { pattern: 0x40, prefixBits: 6 } as const;
/** Dynamic table size update (§6.3). */
export const SIZE_UPDATE = { pattern: 0x20, prefixBits: 5 } as const;
/** Literal that no relay may ever add to a table (§6.2.3). */
export const LITERAL_NEVER_INDEXED = { pattern: 0x10, prefixBits: 4 } as const;
/** Literal that is not added to the table (§6.2.2). */
export const LITERAL_PLAIN = { pattern: 0x00, prefixBits: 4 } as const;
