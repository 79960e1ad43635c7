import { type CertificateName, certificateNames } from "./certificate_names.ts";
import { plainFingerprint } from "./fingerprint.ts";

/** Who is at the other end, by a certificate that the server's client authority vouches for. */
export interface PeerIdentity {
  /** The subject's common name; undefined where it has none or several. */
  readonly commonName: string | undefined;
  /** The subject's alternative names, in the certificate's order. */
  readonly names: readonly CertificateName[];
  /** SHA-256 of the certificate, 64 lower-case hexadecimal digits. */
  readonly fingerprint: string;
}

/** The identity in a certificate (DER) whose SHA-256 is known. Throws DerError where the certificate can't be read. */
export function peerIdentity(certificate: Uint8Array, sha256: string): PeerIdentity {
  return { ...certificateNames(certificate), fingerprint: plainFingerprint(sha256) };
}
