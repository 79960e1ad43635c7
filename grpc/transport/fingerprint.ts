import { TlsCredentialsError } from "./key_pair.ts";

/**
 * Fingerprints as 64 lower-case hexadecimal digits each, from texts that may have colons and capitals, as OpenSSL prints
 * them. Throws TlsCredentialsError.
 */
export function readFingerprints(texts: readonly string[]): readonly string[] {
  if (texts.length === 0) throw new TlsCredentialsError("fingerprints", "there is none; give at least one");
  return texts.map((text) => {
    const digits = plainFingerprint(text);
    if (/^[0-9a-f]{64}$/.test(digits)) return digits;
    throw new TlsCredentialsError(
      "fingerprints",
      `${JSON.stringify(text)} is no SHA-256; give 64 hexadecimal digits`,
    );
  });
}

/** A SHA-256 in hexadecimal digits, without colons and capitals. */
export function plainFingerprint(text: string): string {
  return text.replaceAll(":", "").toLowerCase();
}

/** Makes sure that nobody gives authorities beside fingerprints: only one of them would be asked. */
export function requireNoAuthorityBeside(ca: string | undefined): void {
  if (ca === undefined) return;
  throw new TlsCredentialsError(
    "fingerprints",
    "`ca` is given beside them, and would not be asked; give one of both",
  );
}
