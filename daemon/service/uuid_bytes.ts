/** The 16 bytes of a UUID in its canonical text form. */
export function uuidBytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(text.replaceAll("-", ""));
}
