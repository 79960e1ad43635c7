/** Whether a text is the SHA-256 of a certificate: 64 hexadecimal digits, with or without colons. */
export function isFingerprint(text: string): boolean {
  return /^([0-9a-f]{2}:?){31}[0-9a-f]{2}$/i.test(text);
}
