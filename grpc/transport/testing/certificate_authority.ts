/** A certificate and its private key, as PEM texts. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** What a certificate says. */
export interface CertificateDescription {
  readonly commonName: string;
  /** Alternative names: `{ dns: ["localhost"], ip: [[127, 0, 0, 1]] }`. */
  readonly dns?: readonly string[];
  readonly ip?: readonly (readonly number[])[];
  readonly uri?: readonly string[];
  readonly email?: readonly string[];
  /** The validity; by default from an hour ago for an hour. */
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** The version of X.509; 1 has no alternative names. By default 3. */
  readonly version?: 1 | 3;
}

const HOUR_MS = 3_600_000;
const ECDSA = { name: "ECDSA", namedCurve: "P-256" };
const encoder = new TextEncoder();

/** An authority of a test: makes certificates (RFC 5280) with ECDSA keys, valid around now. */
export class CertificateAuthority {
  /** Its own certificate, signed by itself or by the one above. */
  readonly cert: string;
  /** The certificates from its own up to the one below the root: what a server sends after its own. */
  readonly chain: string;
  readonly #name: string;
  readonly #key: CryptoKeyPair;

  private constructor(name: string, key: CryptoKeyPair, cert: string, chain: string) {
    this.#name = name;
    this.#key = key;
    this.cert = cert;
    this.chain = chain;
  }

  /** A root. */
  static async create(name = "test authority"): Promise<CertificateAuthority> {
    const key = await generateKey();
    const cert = await certificate({ commonName: name }, key.publicKey, name, key.privateKey, true);
    return new CertificateAuthority(name, key, cert, "");
  }

  /** Its own certificate and key, as a device has them that signed its own. */
  async own(): Promise<KeyPair> {
    return { cert: this.cert + this.chain, key: await keyText(this.#key) };
  }

  /** An authority below this one. */
  async below(name: string): Promise<CertificateAuthority> {
    const key = await generateKey();
    const cert = await certificate(
      { commonName: name },
      key.publicKey,
      this.#name,
      this.#key.privateKey,
      true,
    );
    return new CertificateAuthority(name, key, cert, cert + this.chain);
  }

  /** A certificate of this authority, followed by its chain. */
  async issue(description: CertificateDescription): Promise<KeyPair> {
    const key = await generateKey();
    const cert = await certificate(description, key.publicKey, this.#name, this.#key.privateKey, false);
    return { cert: cert + this.chain, key: await keyText(key) };
  }

  /** A server's certificate for this machine. */
  issueLocal(validity: Pick<CertificateDescription, "notBefore" | "notAfter"> = {}): Promise<KeyPair> {
    const ip = [[127, 0, 0, 1], [...Array(15).fill(0), 1]];
    return this.issue({ commonName: "local server", dns: ["localhost"], ip, ...validity });
  }
}

async function generateKey(): Promise<CryptoKeyPair> {
  return await crypto.subtle.generateKey(ECDSA, true, ["sign", "verify"]);
}

async function keyText({ privateKey }: CryptoKeyPair): Promise<string> {
  return pem("PRIVATE KEY", new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey)));
}

async function certificate(
  { commonName, dns = [], ip = [], uri = [], email = [], version = 3, ...validity }: CertificateDescription,
  publicKey: CryptoKey,
  issuer: string,
  issuerKey: CryptoKey,
  isAuthority: boolean,
): Promise<string> {
  const names = [
    ...email.map((name) => der(0x81, encoder.encode(name))),
    ...dns.map((name) => der(0x82, encoder.encode(name))),
    ...uri.map((name) => der(0x86, encoder.encode(name))),
    ...ip.map((octets) => der(0x87, Uint8Array.from(octets))),
  ];
  const extensions = [
    // basicConstraints, critical
    extension([0x55, 0x1d, 0x13], true, sequence(...(isAuthority ? [der(0x01, Uint8Array.of(0xff))] : []))),
    ...(names.length === 0 ? [] : [extension([0x55, 0x1d, 0x11], false, sequence(...names))]),
  ];
  const algorithm = sequence(der(0x06, Uint8Array.of(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02)));
  const serial = crypto.getRandomValues(new Uint8Array(16)).with(0, 0x5a);
  const body = sequence(
    ...(version === 1 ? [] : [der(0xa0, der(0x02, Uint8Array.of(2)))]),
    der(0x02, serial),
    algorithm,
    distinguishedName(issuer),
    sequence(
      utcTime(validity.notBefore ?? new Date(Date.now() - HOUR_MS)),
      utcTime(validity.notAfter ?? new Date(Date.now() + HOUR_MS)),
    ),
    distinguishedName(commonName),
    new Uint8Array(await crypto.subtle.exportKey("spki", publicKey)),
    ...(version === 1 ? [] : [der(0xa3, sequence(...extensions))]),
  );
  const signature = new Uint8Array(
    await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, issuerKey, body),
  );
  const signatureDer = sequence(integer(signature.subarray(0, 32)), integer(signature.subarray(32)));
  return pem("CERTIFICATE", sequence(body, algorithm, der(0x03, Uint8Array.of(0), signatureDer)));
}

function extension(oid: readonly number[], critical: boolean, value: Uint8Array<ArrayBuffer>) {
  return sequence(
    der(0x06, Uint8Array.from(oid)),
    ...(critical ? [der(0x01, Uint8Array.of(0xff))] : []),
    der(0x04, value),
  );
}

function distinguishedName(commonName: string) {
  const attribute = sequence(
    der(0x06, Uint8Array.of(0x55, 0x04, 0x03)),
    der(0x0c, encoder.encode(commonName)),
  );
  return sequence(der(0x31, attribute));
}

function utcTime(date: Date) {
  return der(0x17, encoder.encode(`${date.toISOString().replace(/[-:T]|\..*/g, "").slice(2)}Z`));
}

/** An unsigned number as INTEGER: without leading zeros, and with one where it would look negative. */
function integer(octets: Uint8Array<ArrayBuffer>) {
  const start = octets.findIndex((octet) => octet !== 0);
  const shortest = octets.subarray(start);
  return der(0x02, ...((shortest[0] ?? 0) >= 0x80 ? [Uint8Array.of(0)] : []), shortest);
}

function sequence(...values: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  return der(0x30, ...values);
}

function der(tag: number, ...contents: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const length = contents.reduce((sum, content) => sum + content.length, 0);
  const lengthOctets = length < 0x80
    ? [length]
    : length < 0x100
    ? [0x81, length]
    : [0x82, length >> 8, length & 0xff];
  return Uint8Array.from([tag, ...lengthOctets, ...contents.flatMap((content) => [...content])]);
}

function pem(label: string, bytes: Uint8Array): string {
  const lines = btoa(String.fromCharCode(...bytes)).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
