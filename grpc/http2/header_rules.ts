import type { HeaderField } from "./hpack/header_field.ts";

/** Field names that may come (RFC 9113 §8.2.1): tokens in lower case. Pseudo-headers are looked up by name. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** A method (RFC 9110 §9.1). */
const METHOD_TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** A scheme (RFC 3986, 3.1). */
const SCHEME_NAME = /^[a-z][a-z0-9+.-]*$/i;
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

/** Pseudo-headers of each kind, each with a bit of its own (RFC 9113 §8.3). */
const METHOD = 1;
const SCHEME = 2;
const PATH = 4;
const AUTHORITY = 8;
const STATUS = 16;
const PSEUDO_HEADERS: Readonly<Record<HeaderListKind, ReadonlyMap<string, number>>> = {
  request: new Map([[":method", METHOD], [":scheme", SCHEME], [":path", PATH], [":authority", AUTHORITY]]),
  response: new Map([[":status", STATUS]]),
  trailers: new Map(),
};

/** Why a header list is malformed (RFC 9113 §8.1.1, §8.2, §8.3), or undefined when it is well-formed. */
export function malformedHeaders(fields: readonly HeaderField[], kind: HeaderListKind): string | undefined {
  let seen = 0;
  let regularSeen = false;
  for (const { name, value } of fields) {
    if (BAD_VALUE.test(value)) return `the value of "${name}" holds an octet that is not allowed`;
    if (name.startsWith(":")) {
      if (regularSeen) return `"${name}" comes after a regular field`;
      const bit = PSEUDO_HEADERS[kind].get(name);
      if (bit === undefined) return `"${name}" is not a pseudo-header of a ${kind} list`;
      if ((seen & bit) !== 0) return `"${name}" stands twice`;
      seen |= bit;
      continue;
    }
    regularSeen = true;
    if (!NAME.test(name)) return `the field name "${name}" is not a token in lower case`;
    if (CONNECTION_SPECIFIC.has(name)) return `"${name}" belongs to HTTP/1.1 connections`;
    if (name === "te" && value !== "trailers") return `"te" is "${value}", only "trailers" is allowed`;
  }
  return pseudoHeaderFault(fields, seen, kind);
}

function pseudoHeaderFault(
  fields: readonly HeaderField[],
  seen: number,
  kind: HeaderListKind,
): string | undefined {
  switch (kind) {
    case "trailers":
      return undefined;
    case "response":
      return /^[1-9][0-9][0-9]$/.test(fieldValue(fields, ":status") ?? "")
        ? undefined
        : '":status" is missing or no number';
    case "request":
      return requestFault(fields, seen);
  }
}

function requestFault(fields: readonly HeaderField[], seen: number): string | undefined {
  const method = fieldValue(fields, ":method");
  if (method === undefined) return '":method" is missing';
  if (!METHOD_TOKEN.test(method)) return '":method" is not a token';
  if (method === "CONNECT") {
    if ((seen & (SCHEME | PATH)) !== 0) return "CONNECT has no scheme and no path (§8.5)";
    return (seen & AUTHORITY) === 0 ? "CONNECT needs an authority (§8.5)" : undefined;
  }
  const scheme = fieldValue(fields, ":scheme");
  if (scheme === undefined) return '":scheme" is missing';
  if (!SCHEME_NAME.test(scheme)) return '":scheme" is not a scheme';
  const path = fieldValue(fields, ":path") ?? "";
  if (path === "") return '":path" is missing or empty';
  if (scheme !== "http" && scheme !== "https") return undefined;
  if (!path.startsWith("/") && (path !== "*" || method !== "OPTIONS")) {
    return '":path" does not begin with "/" (§8.3.1)';
  }
  return authorityFault(fields, scheme);
}

/** What is wrong with the authority of a request with this scheme. */
function authorityFault(fields: readonly HeaderField[], scheme: "http" | "https"): string | undefined {
  const authority = fieldValue(fields, ":authority");
  if (authority === undefined) return undefined;
  if (authority.includes("@")) return '":authority" names a user (§8.3.1)';
  const host = fieldValue(fields, "host");
  return host === undefined || host === authority ||
      plainAuthority(host, scheme) === plainAuthority(authority, scheme)
    ? undefined
    : '"host" is another than ":authority" (§8.3.1)';
}

/** An authority without what may be written in several ways: capitals, and the scheme's own port (RFC 3986, 6.2.3). */
function plainAuthority(authority: string, scheme: "http" | "https"): string {
  return authority.toLowerCase().replace(scheme === "http" ? /:(80)?$/ : /:(443)?$/, "");
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
