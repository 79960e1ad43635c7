/**
 * Octets of the dynamic table on both sides before any SETTINGS_HEADER_TABLE_SIZE (RFC 9113 §6.5.2).
 * At the limit the oldest entries are evicted.
 */
export const DEFAULT_TABLE_BYTES = 4096;

/** Octets counted for each entry and each list member besides its name and value (RFC 7541 §4.1). */
export const FIELD_OVERHEAD_BYTES = 32;

/**
 * Largest integer accepted in a header block: what a 31-bit length can say, and far more than any index or
 * string here. Above it the block is refused (RFC 7541 §5.1 asks for such a limit).
 */
export const MAX_INTEGER = 2 ** 31 - 1;

/**
 * Continuation octets that {@link MAX_INTEGER} needs (31 bits, 7 in each octet). A longer run can only be
 * padding with zeros, which costs us work and says nothing: the block is refused.
 */
export const MAX_INTEGER_CONTINUATION_OCTETS = 5;
