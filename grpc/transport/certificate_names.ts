import { DerError, type DerValue, derValues } from "./der_reader.ts";

/** A name that a certificate gives its holder (RFC 5280, 4.2.1.6), such as `{ kind: "dns", value: "host.example" }`. */
export interface CertificateName {
  /** What kind of name it is. */
  readonly kind: "dns" | "ip" | "uri" | "email";
  /** The name as the certificate has it; an IPv6 address in eight groups without abbreviation. */
  readonly value: string;
}

const SEQUENCE = 0x30;
/** The explicit tag of a certificate's extensions (RFC 5280, 4.1). */
const EXTENSIONS = 0xa3;
/** The explicit tag of its version, which is absent in version 1. */
const VERSION = 0xa0;
const OCTET_STRING = 0x04;
const BMP_STRING = 0x1e;
const COMMON_NAME = "2.5.4.3";
const SUBJECT_ALT_NAME = "2.5.29.17";
/** Tags of GeneralName (RFC 5280, 4.2.1.6) that name a machine, a person or a workload. */
const KIND_OF_TAG: ReadonlyMap<number, CertificateName["kind"]> = new Map([
  [0x81, "email"],
  [0x82, "dns"],
  [0x86, "uri"],
  [0x87, "ip"],
]);

/**
 * The subject's names in a certificate (DER). They are read from the bytes, since the runtimes give them as one text in
 * which a name that contains ", DNS:" looks like two. Throws DerError.
 */
export function certificateNames(
  certificate: Uint8Array,
): { readonly commonName: string | undefined; readonly names: readonly CertificateName[] } {
  const [signed] = sequence(certificate);
  const body = valuesOf(signed, "the certificate's body");
  const afterVersion = body[0]?.tag === VERSION ? 1 : 0;
  // serialNumber, signature, issuer, validity, subject
  const subject = body[afterVersion + 4];
  const extensions = body.find(({ tag }) => tag === EXTENSIONS);
  return {
    commonName: commonName(valuesOf(subject, "the subject")),
    names: extensions === undefined ? [] : alternativeNames(extensions.content),
  };
}

/** The values of the SEQUENCE that `bytes` are. */
function sequence(bytes: Uint8Array): DerValue[] {
  const [value] = derValues(bytes);
  if (value?.tag !== SEQUENCE) throw new DerError("a sequence is missing");
  return derValues(value.content);
}

function valuesOf(value: DerValue | undefined, what: string): DerValue[] {
  if (value === undefined) throw new DerError(`${what} is missing`);
  return derValues(value.content);
}

/** The one common name in the sets of a subject; undefined where there are several: which of them would it be? */
function commonName(subject: readonly DerValue[]): string | undefined {
  const found: string[] = [];
  for (const { content: attributes } of subject) {
    for (const { content: attribute } of derValues(attributes)) {
      const [type, value] = derValues(attribute);
      if (type === undefined || value === undefined) continue;
      if (objectIdentifier(type.content) === COMMON_NAME) found.push(text(value));
    }
  }
  return found.length === 1 ? found[0] : undefined;
}

function alternativeNames(extensions: Uint8Array): CertificateName[] {
  for (const { content: extension } of sequence(extensions)) {
    const [type, ...rest] = derValues(extension);
    if (type === undefined || objectIdentifier(type.content) !== SUBJECT_ALT_NAME) continue;
    const value = rest.find(({ tag }) => tag === OCTET_STRING);
    if (value === undefined) throw new DerError("an extension has no value");
    return sequence(value.content).flatMap((name) => {
      const kind = KIND_OF_TAG.get(name.tag);
      if (kind === undefined) return [];
      return [{ kind, value: kind === "ip" ? ipAddress(name.content) : text(name) }];
    });
  }
  return [];
}

function objectIdentifier(content: Uint8Array): string {
  const arcs: number[] = [];
  let arc = 0;
  for (const octet of content) {
    arc = arc * 128 + (octet & 0x7f);
    if (octet >= 0x80) continue;
    // The first number holds two arcs (X.690, 8.19.4).
    const top = Math.min(2, Math.floor(arc / 40));
    if (arcs.length === 0) arcs.push(top, arc - 40 * top);
    else arcs.push(arc);
    arc = 0;
  }
  return arcs.join(".");
}

function ipAddress(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join(".");
  if (octets.length !== 16) throw new DerError(`an IP address has ${octets.length} octets`);
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  return Array.from({ length: 8 }, (_, group) => view.getUint16(2 * group).toString(16)).join(":");
}

function text({ tag, content }: DerValue): string {
  return new TextDecoder(tag === BMP_STRING ? "utf-16be" : "utf-8").decode(content);
}
