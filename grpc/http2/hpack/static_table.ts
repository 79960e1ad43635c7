import type { HeaderField } from "./header_field.ts";

/** RFC 7541 Appendix A, in the order of its indices, which begin at 1. */
const ENTRIES: readonly (readonly [name: string, value: string])[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ["accept-language", ""],
  ["accept-ranges", ""],
  ["accept", ""],
  ["access-control-allow-origin", ""],
  ["age", ""],
  ["allow", ""],
  ["authorization", ""],
  ["cache-control", ""],
  ["content-disposition", ""],
  ["content-encoding", ""],
  ["content-language", ""],
  ["content-length", ""],
  ["content-location", ""],
  ["content-range", ""],
  ["content-type", ""],
  ["cookie", ""],
  ["date", ""],
  ["etag", ""],
  ["expect", ""],
  ["expires", ""],
  ["from", ""],
  ["host", ""],
  ["if-match", ""],
  ["if-modified-since", ""],
  ["if-none-match", ""],
  ["if-range", ""],
  ["if-unmodified-since", ""],
  ["last-modified", ""],
  ["link", ""],
  ["location", ""],
  ["max-forwards", ""],
  ["proxy-authenticate", ""],
  ["proxy-authorization", ""],
  ["range", ""],
  ["referer", ""],
  ["refresh", ""],
  ["retry-after", ""],
  ["server", ""],
  ["set-cookie", ""],
  ["strict-transport-security", ""],
  ["transfer-encoding", ""],
  ["user-agent", ""],
  ["vary", ""],
  ["via", ""],
  ["www-authenticate", ""],
];

/** Entries of the static table; the dynamic table's indices begin after it (RFC 7541 §2.3.3). */
export const STATIC_TABLE_LENGTH: number = ENTRIES.length;

/** The static table by index; index 0 is unused and empty. Frozen, for every connection hands these out. */
export const STATIC_TABLE: readonly (HeaderField | undefined)[] = [
  undefined,
  ...ENTRIES.map(([name, value]) => Object.freeze({ name, value })),
];

/** Where a name is in the static table. */
interface StaticName {
  /** The first index that has the name. */
  readonly index: number;
  /** The index of each value that the table has for the name. */
  readonly values: ReadonlyMap<string, number>;
}

const STATIC_NAMES: ReadonlyMap<string, StaticName> = indexEntries();

/** The static index of the whole field; 0 where the table does not have it. */
export function staticIndexOfField(name: string, value: string): number {
  return STATIC_NAMES.get(name)?.values.get(value) ?? 0;
}

/** The first static index with this name; 0 where the table does not have it. */
export function staticIndexOfName(name: string): number {
  return STATIC_NAMES.get(name)?.index ?? 0;
}

function indexEntries(): Map<string, StaticName> {
  const names = new Map<string, { index: number; values: Map<string, number> }>();
  ENTRIES.forEach(([name, value], position) => {
    const index = position + 1;
    const known = names.get(name);
    if (known === undefined) names.set(name, { index, values: new Map([[value, index]]) });
    else known.values.set(value, index);
  });
  return names;
}
