/** One value of DER (X.690): its tag, and where its content lies. */
export interface DerValue {
  /** The identifier octet, such as 0x30 for a SEQUENCE. */
  readonly tag: number;
  /** The content, without tag and length. */
  readonly content: Uint8Array;
}

/** Bytes that are no DER, or not what was expected there. */
export class DerError extends Error {
  override readonly name = "DerError";
}

/** The values that lie one after another in `bytes`. Throws DerError. */
export function derValues(bytes: Uint8Array): DerValue[] {
  const values: DerValue[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = byteAt(bytes, at);
    // Tags beyond 30 take more octets; certificates have none.
    if ((tag & 0x1f) === 0x1f) throw new DerError("a tag has more than one octet");
    const first = byteAt(bytes, at + 1);
    const lengthOctets = first < 0x80 ? 0 : first & 0x7f;
    if (first === 0x80 || lengthOctets > 3) throw new DerError("a length is indefinite or too long");
    let length = first < 0x80 ? first : 0;
    for (let i = 0; i < lengthOctets; i++) length = length * 256 + byteAt(bytes, at + 2 + i);
    const start = at + 2 + lengthOctets;
    if (start + length > bytes.length) throw new DerError("a value is cut");
    values.push({ tag, content: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return values;
}

function byteAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw new DerError("a value is cut");
  return byte;
}
