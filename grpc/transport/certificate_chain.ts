import type { KeyObject, X509Certificate } from "node:crypto";
import { derValues } from "./der_reader.ts";
import { isValidAt } from "./key_pair.ts";

/** Certificates between a leaf and its authority; more is no chain that anyone makes. */
const MAX_BETWEEN = 4;

/** The hashes of signatures that count, and the salt that each has in RSASSA-PSS (RFC 8446, 4.2.3). */
const HASHES = [["sha256", 32], ["sha384", 48], ["sha512", 64]] as const;

const NOTHING = new Uint8Array();

type NodeCrypto = Pick<typeof import("node:crypto"), "constants" | "verify">;

/** The certificates that the other end showed, its own first. */
export function chainOf(leaf: X509Certificate | undefined): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (let next = leaf; next !== undefined && !chain.includes(next); next = next.issuerCertificate) {
    chain.push(next);
  }
  return chain;
}

/** Finds out who issued certificates. */
export class CertificateChains {
  readonly #crypto: NodeCrypto;

  private constructor(crypto: NodeCrypto) {
    this.#crypto = crypto;
  }

  /** Made where the runtime has node:crypto. */
  static async load(): Promise<CertificateChains> {
    return new CertificateChains(await import("node:crypto"));
  }

  /** Whether one of `roots` issued the first certificate of a chain, itself or over the others, all valid at that time. */
  leadTo(
    roots: readonly X509Certificate[],
    [leaf, ...others]: readonly X509Certificate[],
    nowMs: number,
  ): boolean {
    return leaf !== undefined && this.#isIssued(leaf, others.slice(0, MAX_BETWEEN), roots, nowMs);
  }

  #isIssued(
    certificate: X509Certificate,
    others: readonly X509Certificate[],
    roots: readonly X509Certificate[],
    nowMs: number,
  ): boolean {
    const isIssuer = (issuer: X509Certificate) =>
      isValidAt(issuer, nowMs) && certificate.checkIssued(issuer) &&
      this.#isSignedBy(certificate.raw, issuer);
    if (roots.some(isIssuer)) return true;
    return others.some((issuer) =>
      issuer.ca && isIssuer(issuer) &&
      this.#isIssued(issuer, others.filter((other) => other !== issuer), roots, nowMs)
    );
  }

  /** Not by `X509Certificate.verify`, which throws on Deno where the keys have different curves. */
  #isSignedBy(certificate: Uint8Array, { publicKey }: X509Certificate): boolean {
    try {
      const [whole] = derValues(certificate);
      const [body, , bits] = derValues(whole?.content ?? NOTHING);
      if (whole === undefined || body === undefined || bits === undefined) return false;
      const from = whole.content.byteOffset;
      const to = body.content.byteOffset + body.content.length;
      const signed = new Uint8Array(certificate.buffer, from, to - from);
      return this.#isSignature(bits.content.subarray(1), signed, publicKey); // the first octet counts unused bits
    } catch {
      // What can't be read or is of an unknown kind vouches for nothing.
      return false;
    }
  }

  #isSignature(signature: Uint8Array, signed: Uint8Array, key: KeyObject): boolean {
    const { constants, verify } = this.#crypto;
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    switch (key.asymmetricKeyType) {
      case "ed25519":
        return verify(null, signed, key, signature);
      case "ec":
        return HASHES.some(([hash]) => verify(hash, signed, key, signature));
      case "rsa":
        return HASHES.some(([hash, saltLength]) =>
          verify(hash, signed, key, signature) ||
          verify(hash, signed, { key, padding, saltLength }, signature)
        );
      default:
        return false;
    }
  }
}
