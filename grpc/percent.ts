const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** What travels as it is: printable ASCII but "%", with no space at either end, where a field may have none (RFC 9113 §8.2.1). */
const PLAIN = /^(?! )[\x20-\x24\x26-\x7e]*(?<! )$/;

/**
 * Percent-encodes a `grpc-message`: UTF-8, with everything outside printable ASCII, "%", and spaces at either end as
 * %XX (gRPC over HTTP/2).
 */
export function percentEncode(text: string): string {
  if (PLAIN.test(text)) return text;
  let encoded = "";
  const octets = encoder.encode(text);
  for (const [index, octet] of octets.entries()) {
    const bounding = octet === 0x20 && (index === 0 || index === octets.length - 1);
    encoded += octet >= 0x20 && octet <= 0x7e && octet !== 0x25 && !bounding
      ? String.fromCharCode(octet)
      : `%${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

/** Decodes a `grpc-message`. A broken escape stays as it came: a status must not be lost for its text. */
export function percentDecode(value: string): string {
  if (!value.includes("%")) return value;
  const octets = new Uint8Array(value.length);
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const hex = value[i] === "%" ? /^[0-9a-fA-F]{2}/.exec(value.slice(i + 1, i + 3))?.[0] : undefined;
    octets[length++] = hex === undefined ? value.charCodeAt(i) : parseInt(hex, 16);
    if (hex !== undefined) i += 2;
  }
  return decoder.decode(octets.subarray(0, length));
}
