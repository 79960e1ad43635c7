const ENTRY = 0x32;
const KEY = 0x0a;
const VALUE = 0x12;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** What a message says, whoever says it. */
export interface Content {
  readonly payload: Uint8Array;
  /** As in `NewMessage`. */
  readonly headers: Uint8Array;
}

/** Whether two messages say the same. Protobuf leaves the order of a map's entries open: it makes no difference. */
export function isSameContent(a: Content, b: Content): boolean {
  return isSameBytes(a.payload, b.payload) &&
    (isSameBytes(a.headers, b.headers) || isSameMap(entriesOf(a.headers), entriesOf(b.headers)));
}

/** Whether two arrays have the same bytes. */
export function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

function isSameMap(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}

/** Of entries with the same key the last one counts. */
function entriesOf(headers: Uint8Array): Map<string, string> {
  const entries = new Map<string, string>();
  for (const [, entry] of fieldsOf(headers, [ENTRY])) {
    let key = "";
    let value = "";
    for (const [tag, bytes] of fieldsOf(entry, [KEY, VALUE])) {
      if (tag === KEY) key = decoder.decode(bytes);
      else value = decoder.decode(bytes);
    }
    entries.set(key, value);
  }
  return entries;
}

/** Length-delimited fields up to the first with another tag. */
function* fieldsOf(bytes: Uint8Array, tags: readonly number[]): Generator<[tag: number, value: Uint8Array]> {
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at++] ?? 0;
    if (!tags.includes(tag)) return;
    let length = 0;
    for (let factor = 1, byte = 0x80; byte >= 0x80; factor *= 0x80) {
      byte = bytes[at++] ?? 0;
      length += (byte & 0x7f) * factor;
    }
    yield [tag, bytes.subarray(at, at += length)];
  }
}
