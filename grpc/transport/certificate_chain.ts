import type { KeyObject, X509Certificate } from "node:crypto";
import { DerError, derValues } from "./der_reader.ts";
import { isValidAt } from "./key_pair.ts";

/** Certificates between a leaf and its authority; more is no chain that anyone makes. */
const MAX_BETWEEN = 4;

/** The hashes of signatures that count, and the salt that each has in RSASSA-PSS (RFC 8446, 4.2.3). */
const HASHES = [["sha256", "SHA-256", 32], ["sha384", "SHA-384", 48], ["sha512", "SHA-512", 64]] as const;

/** The curves of ECDSA that count (RFC 8422, 5.1.1): their names in WebCrypto, and the octets of a coordinate. */
const CURVES: ReadonlyMap<unknown, readonly [name: string, coordinateBytes: number]> = new Map([
  ["prime256v1", ["P-256", 32]],
  ["secp384r1", ["P-384", 48]],
  ["secp521r1", ["P-521", 66]],
]);

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
  async leadTo(
    roots: readonly X509Certificate[],
    [leaf, ...others]: readonly X509Certificate[],
    nowMs: number,
  ): Promise<boolean> {
    return leaf !== undefined && await this.#isIssued(leaf, others.slice(0, MAX_BETWEEN), roots, nowMs);
  }

  async #isIssued(
    certificate: X509Certificate,
    others: readonly X509Certificate[],
    roots: readonly X509Certificate[],
    nowMs: number,
  ): Promise<boolean> {
    const isIssuer = async (issuer: X509Certificate) =>
      isValidAt(issuer, nowMs) && certificate.checkIssued(issuer) &&
      await this.#isSignedBy(certificate.raw, issuer);
    for (const root of roots) {
      if (await isIssuer(root)) return true;
    }
    for (const issuer of others) {
      if (!issuer.ca || !await isIssuer(issuer)) continue;
      const rest = others.filter((other) => other !== issuer);
      if (await this.#isIssued(issuer, rest, roots, nowMs)) return true;
    }
    return false;
  }

  /** Not by `X509Certificate.verify`, which throws on Deno where the keys have different curves. */
  async #isSignedBy(certificate: Uint8Array, { publicKey }: X509Certificate): Promise<boolean> {
    try {
      const [whole] = derValues(certificate);
      const [body, , bits] = derValues(whole?.content ?? NOTHING);
      if (whole === undefined || body === undefined || bits === undefined) return false;
      const from = whole.content.byteOffset;
      const to = body.content.byteOffset + body.content.length;
      const signed = new Uint8Array(certificate.buffer, from, to - from);
      return await this.#isSignature(bits.content.subarray(1), signed, publicKey); // the first octet counts unused bits
    } catch {
      // What can't be read or is of an unknown kind vouches for nothing.
      return false;
    }
  }

  async #isSignature(signature: Uint8Array, signed: Uint8Array, key: KeyObject): Promise<boolean> {
    const { constants, verify } = this.#crypto;
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    switch (key.asymmetricKeyType) {
      case "ed25519":
        return verify(null, signed, key, signature);
      case "ec":
        return await isEcdsaSignature(signature, signed, key);
      case "rsa":
        return HASHES.some(([hash, , saltLength]) =>
          verify(hash, signed, key, signature) ||
          verify(hash, signed, { key, padding, saltLength }, signature)
        );
      default:
        return false;
    }
  }
}

/** By WebCrypto: on Deno node:crypto can't verify with P-521 and SHA-256, which is what `openssl` signs with. */
async function isEcdsaSignature(signature: Uint8Array, signed: Uint8Array, key: KeyObject): Promise<boolean> {
  const [namedCurve, coordinateBytes] = CURVES.get(key.asymmetricKeyDetails?.namedCurve) ?? [];
  if (namedCurve === undefined || coordinateBytes === undefined) return false;
  const spki = new Uint8Array(key.export({ type: "spki", format: "der" }));
  const imported = await crypto.subtle.importKey("spki", spki, { name: "ECDSA", namedCurve }, false, [
    "verify",
  ]);
  const coordinates = ecdsaCoordinates(signature, coordinateBytes);
  const body = new Uint8Array(signed);
  for (const [, hash] of HASHES) {
    if (await crypto.subtle.verify({ name: "ECDSA", hash }, imported, coordinates, body)) return true;
  }
  return false;
}

/** The two numbers of a signature (RFC 3279, 2.2.3) as WebCrypto wants them, of equal length. Throws where they are none. */
function ecdsaCoordinates(signature: Uint8Array, coordinateBytes: number): Uint8Array<ArrayBuffer> {
  const [pair] = derValues(signature);
  const [r, s] = derValues(pair?.content ?? NOTHING);
  if (r === undefined || s === undefined) throw new DerError("a signature has no two numbers");
  const coordinates = new Uint8Array(2 * coordinateBytes);
  for (const [index, { content }] of [r, s].entries()) {
    const digits = content[0] === 0 ? content.subarray(1) : content;
    if (digits.length > coordinateBytes) throw new DerError("a number of a signature is too long");
    coordinates.set(digits, (index + 1) * coordinateBytes - digits.length);
  }
  return coordinates;
}
