import type { HeaderField } from "./hpack/header_field.ts";

/** Field names that may come (RFC 9113 §8.2.1): tokens in lower case. Pseudo-headers are looked up by name. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** Octets that no value may hold, and white space at either end (RFC 9113 §8.2.1). */
const BAD_VALUE = /[\0\r\n]|^[ \t]|[ \t]$/;
/** Fields of HTTP/1.1 connections (RFC 9113 §8.2.2). */
const CONNECTION_SPECIFIC = new Set([
  "connection",
  "proxy-connection",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
]);

/** What kind of header list is checked. */
export type HeaderListKind = "request" | "response" | "trailers";

const PSEUDO_HEADERS: Readonly<Record<HeaderListKind, ReadonlySet<string>>> = {
  request: new Set([":method", ":scheme", ":path", ":authority"]),
  response: new Set([":status"]),
  trailers: new Set(),
};

/** Why a header list is malformed (RFC 9113 §8.1.1, §8.2, §8.3), or undefined when it is well-formed. */
export function malformedHeaders(fields: readonly HeaderField[], kind: HeaderListKind): string | undefined {
  const pseudo = new Set<string>();
  let regularSeen = false;
  for (const field of fields) {
    const { name, value } = field;
    if (BAD_VALUE.test(value)) return `the value of "${name}" holds an octet that is not allowed`;
    if (name.startsWith(":")) {
      if (regularSeen) return `"${name}" comes after a regular field`;
      if (!PSEUDO_HEADERS[kind].has(name)) return `"${name}" is not a pseudo-header of a ${kind} list`;
      if (pseudo.has(name)) return `"${name}" stands twice`;
      pseudo.add(name);
      continue;
    }
    regularSeen = true;
    if (!NAME.test(name)) return `the field name "${name}" is not a token in lower case`;
    if (CONNECTION_SPECIFIC.has(name)) return `"${name}" belongs to HTTP/1.1 connections`;
    if (name === "te" && value !== "trailers") return `"te" is "${value}", only "trailers" is allowed`;
  }
  return missingPseudoHeader(fields, pseudo, kind);
}

function missingPseudoHeader(
  fields: readonly HeaderField[],
  pseudo: ReadonlySet<string>,
  kind: HeaderListKind,
): string | undefined {
  if (kind === "trailers") return undefined;
  if (kind === "response") {
    return /^[1-9][0-9][0-9]$/.test(fieldValue(fields, ":status") ?? "")
      ? undefined
      : '":status" is missing or no number';
  }
  if (!pseudo.has(":method")) return '":method" is missing';
  if (fieldValue(fields, ":method") === "CONNECT") {
    return pseudo.has(":scheme") || pseudo.has(":path")
      ? "CONNECT has no scheme and no path (§8.5)"
      : undefined;
  }
  if (!pseudo.has(":scheme")) return '":scheme" is missing';
  if ((fieldValue(fields, ":path") ?? "") === "") return '":path" is missing or empty';
  return undefined;
}

/** The first value of a field. */
export function fieldValue(fields: readonly HeaderField[], name: string): string | undefined {
  for (const field of fields) {
    if (field.name === name) return field.value;
  }
  return undefined;
}

/** The announced length of the content: undefined where none is, "malformed" where it is no number or two differ (§8.1.1). */
export function contentLength(fields: readonly HeaderField[]): number | undefined | "malformed" {
  let found: string | undefined;
  for (const field of fields) {
    if (field.name !== "content-length") continue;
    if (found !== undefined && found !== field.value) return "malformed";
    found = field.value;
  }
  if (found === undefined) return undefined;
  return /^[0-9]{1,15}$/.test(found) ? Number(found) : "malformed";
}
