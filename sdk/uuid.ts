const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

const UUID_BYTES = 16;

/** The canonical text (RFC 9562 §4) of the UUID in the 16 bytes from `at` on, plus `plus` as a number of 128 bits. */
export function formatUuid(bytes: Uint8Array, at: number, plus: number): string {
  const sum = bytes.slice(at, at + UUID_BYTES);
  for (let i = UUID_BYTES - 1, carry = plus; carry > 0 && i >= 0; i--) {
    carry += sum[i] ?? 0;
    sum[i] = carry % 256;
    carry = Math.floor(carry / 256);
  }
  let text = "";
  for (let i = 0; i < UUID_BYTES; i++) {
    text += HEX[sum[i] ?? 0];
    if (i === 3 || i === 5 || i === 7 || i === 9) text += "-";
  }
  return text;
}

/** A random UUID (RFC 9562 §5.4), also where a browser offers none of its own: on pages without TLS. */
export function randomUuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(UUID_BYTES));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return formatUuid(bytes, 0, 0);
}
