/**
 * A header block that cannot be decoded.
 *
 * After it the dynamic tables of the two ends no longer agree, so no later block of the connection can be
 * read: the connection ends with COMPRESSION_ERROR (RFC 9113 §4.3) and its decoder is not used again.
 */
export class HpackError extends Error {
  /** Always "HpackError". */
  override readonly name: string = "HpackError";
  /** The one kind of failure there is; the connection layer turns it into COMPRESSION_ERROR. */
  readonly code: "compression" = "compression";
}
