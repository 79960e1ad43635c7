import type { X509Certificate } from "node:crypto";

/** Which of the given texts is meant. */
export type TlsPart = "cert" | "key" | "ca" | "clientCa" | "fingerprints";

/** A text that can't be used for TLS. The message says why, without quoting the text. */
export class TlsCredentialsError extends Error {
  /** Always "TlsCredentialsError". */
  override readonly name = "TlsCredentialsError";
  /** The text that is wrong. */
  readonly part: TlsPart;

  /** What is wrong with it. */
  readonly reason: string;

  /** Made by the functions that read credentials. */
  constructor(part: TlsPart, reason: string, options?: ErrorOptions) {
    super(`Cannot use \`${part}\`: ${reason}`, options);
    this.part = part;
    this.reason = reason;
  }
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** Certificates in their order. */
export type Certificates = readonly [X509Certificate, ...X509Certificate[]];

/** The certificates of a PEM text. Throws TlsCredentialsError. */
export async function readCertificates(part: TlsPart, pem: string): Promise<Certificates> {
  const { X509Certificate } = await import("node:crypto");
  const parse = (block: string, index: number) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw new TlsCredentialsError(part, `its certificate ${index + 1} can't be read`, { cause: error });
    }
  };
  const [first, ...others] = (pem.match(PEM_CERTIFICATE) ?? []).map(parse);
  if (first === undefined) throw new TlsCredentialsError(part, "it holds no certificate; give one in PEM");
  return [first, ...others];
}

/** Whether a certificate is valid at a time. */
export function isValidAt({ validFrom, validTo }: X509Certificate, nowMs: number): boolean {
  return Date.parse(validFrom) <= nowMs && nowMs <= Date.parse(validTo);
}

/** Makes sure that `key` is the private key of a certificate. Throws TlsCredentialsError. */
export async function requireKeyOf(certificate: X509Certificate, key: string): Promise<void> {
  if (/-----BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED/.test(key)) {
    throw new TlsCredentialsError("key", "its key is encrypted; decrypt it first");
  }
  const { createPrivateKey } = await import("node:crypto");
  let matches: boolean;
  try {
    matches = certificate.checkPrivateKey(createPrivateKey(key));
  } catch (error) {
    throw new TlsCredentialsError("key", "it holds no private key; give one in PEM", { cause: error });
  }
  if (!matches) {
    throw new TlsCredentialsError(
      "key",
      "it is not the key of the certificate; give the one that belongs to it",
    );
  }
}
