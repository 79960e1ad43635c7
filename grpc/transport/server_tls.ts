import type { X509Certificate } from "node:crypto";
import { CertificateChains } from "./certificate_chain.ts";
import { plainFingerprint } from "./fingerprint.ts";
import { isValidAt, readCertificates, requireKeyOf, TlsCredentialsError } from "./key_pair.ts";

/** What a server shows, and whom it lets in, as PEM texts. */
export interface ServerTlsOptions {
  /** The certificate, followed by those between it and its authority. */
  readonly cert: string;
  /** The certificate's private key, not encrypted. */
  readonly key: string;
  /** The authorities that may vouch for clients. Where they are given, a client without such a certificate is refused. */
  readonly clientCa?: string;
}

/** Credentials of a server that were found usable. */
export class ServerTls {
  /** What was given. */
  readonly pem: ServerTlsOptions;
  /** The subject of the certificate, the end of its validity and its fingerprint, for logs. */
  readonly summary: string;
  /** What clients will not like, one line each: an expired certificate, one without names. */
  readonly warnings: readonly string[];
  readonly #roots: readonly X509Certificate[];
  readonly #chains: CertificateChains;

  private constructor(
    pem: ServerTlsOptions,
    leaf: X509Certificate,
    roots: readonly X509Certificate[],
    chains: CertificateChains,
    nowMs: number,
  ) {
    this.pem = pem;
    this.#roots = roots;
    this.#chains = chains;
    this.summary = `${JSON.stringify(leaf.subject)}, valid until ${leaf.validToDate.toISOString()}, sha256 ` +
      plainFingerprint(leaf.fingerprint256);
    this.warnings = [
      ...warningsOf(leaf, "the certificate", nowMs),
      ...namelessWarning(leaf),
      ...roots.flatMap((root) => warningsOf(root, "a certificate of the client authorities", nowMs)),
    ];
  }

  /** Checks and keeps the texts. Throws TlsCredentialsError. */
  static async load(pem: ServerTlsOptions, nowMs: number = Date.now()): Promise<ServerTls> {
    const [leaf] = await readCertificates("cert", pem.cert);
    await requireKeyOf(leaf, pem.key);
    requireSupported(pem);
    const roots = pem.clientCa === undefined ? [] : await readCertificates("clientCa", pem.clientCa);
    return new ServerTls(pem, leaf, roots, await CertificateChains.load(), nowMs);
  }

  /** Whether clients must show a certificate. */
  get demandsClientCertificate(): boolean {
    return this.pem.clientCa !== undefined;
  }

  /**
   * Why a chain, leaf first, is not one of the client authorities', or undefined where it is. The TLS of the runtime
   * checks full handshakes; a resumed session it lets in unseen, even after the authorities were exchanged.
   */
  chainProblem(
    chain: readonly X509Certificate[],
    nowMs: number = Date.now(),
  ): "expired" | "untrusted" | undefined {
    const [leaf] = chain;
    if (leaf === undefined) return "untrusted";
    if (!isValidAt(leaf, nowMs)) return "expired";
    return this.#chains.leadTo(this.#roots, chain, nowMs) ? undefined : "untrusted";
  }
}

/** The runtime's TLS is pickier than its parser of keys, and says so only when it is given them for listening. */
function requireSupported({ cert, key }: ServerTlsOptions): void {
  try {
    Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key }).close();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new TlsCredentialsError(
      "key",
      `it can't be used (${why}); use ECDSA with P-256, Ed25519, or RSA with 2048 bits or more`,
      { cause: error },
    );
  }
}

function warningsOf(certificate: X509Certificate, what: string, nowMs: number): string[] {
  if (isValidAt(certificate, nowMs)) return [];
  const { subject, validFromDate, validToDate } = certificate;
  return [
    `${what} (${JSON.stringify(subject)}) is valid from ${validFromDate.toISOString()} until ` +
    `${validToDate.toISOString()}, not now`,
  ];
}

function namelessWarning({ subject, subjectAltName }: X509Certificate): string[] {
  if (subjectAltName !== undefined) return [];
  return [`the certificate (${JSON.stringify(subject)}) has no alternative names: most clients refuse it`];
}
