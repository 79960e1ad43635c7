import type { HeaderField } from "./http2/hpack/header_field.ts";

/** Custom-Metadata names (gRPC over HTTP/2, Header-Name). */
const NAME = /^[0-9a-z_.-]+$/;
/** ASCII-Value: printable ASCII. */
const TEXT = /^[\x20-\x7e]*$/;
/** Names that belong to the protocol itself, beside those that begin with ":" or "grpc-". */
const RESERVED: ReadonlySet<string> = new Set(["content-type", "te", "host", "connection", "user-agent"]);

/** A text value, or bytes for a name that ends with "-bin". */
export type MetadataValue = string | Uint8Array;

/**
 * Custom metadata of a call, before or after its messages: names in lower case with one or more values each.
 * Names that end with "-bin" carry bytes, all others printable ASCII.
 */
export class Metadata {
  readonly #values = new Map<string, MetadataValue[]>();
  #unreadable: Set<string> | undefined;

  /** Starts with the given entries. Throws TypeError as {@linkcode append} does. */
  constructor(entries: Readonly<Record<string, MetadataValue>> = {}) {
    for (const [name, value] of Object.entries(entries)) this.append(name, value);
  }

  /** How many names there are. */
  get size(): number {
    return this.#values.size;
  }

  /** The first value of a name. */
  get(name: string): MetadataValue | undefined {
    return this.#values.get(name.toLowerCase())?.[0];
  }

  /** All values of a name. */
  getAll(name: string): readonly MetadataValue[] {
    return this.#values.get(name.toLowerCase()) ?? [];
  }

  /** Whether a value of a name came that could not be decoded, and so is none of {@linkcode getAll}. */
  isUnreadable(name: string): boolean {
    return this.#unreadable?.has(name.toLowerCase()) ?? false;
  }

  /** Adds a value; spaces around a text are dropped, for they can't travel. Throws TypeError where the name or the value can't. */
  append(name: string, value: MetadataValue): void {
    const key = name.toLowerCase();
    if (!NAME.test(key) || isReserved(key)) {
      throw new TypeError(`Cannot set metadata "${name}": the name is reserved or not of 0-9 a-z _ - .`);
    }
    if (key.endsWith("-bin") ? typeof value === "string" : typeof value !== "string" || !TEXT.test(value)) {
      throw new TypeError(
        `Cannot set metadata "${name}": names with "-bin" take bytes, others printable ASCII`,
      );
    }
    // White space at either end of a field makes a message malformed (RFC 9113 §8.2.1).
    this.#add(key, typeof value === "string" ? value.trim() : value);
  }

  /** Adds what is known to be good: every call passes here. */
  #add(name: string, value: MetadataValue): void {
    const values = this.#values.get(name);
    if (values === undefined) this.#values.set(name, [value]);
    else values.push(value);
  }

  /** All pairs of name and value. */
  *entries(): IterableIterator<[string, MetadataValue]> {
    for (const [name, values] of this.#values) {
      for (const value of values) yield [name, value];
    }
  }

  /** The metadata of a header list; names of the protocol are left out, and values that can't be decoded, which {@linkcode isUnreadable} tells. */
  static fromFields(fields: readonly HeaderField[]): Metadata {
    const metadata = new Metadata();
    for (const { name, value } of fields) {
      if (isReserved(name) || !NAME.test(name)) continue;
      if (!name.endsWith("-bin")) {
        if (TEXT.test(value)) metadata.#add(name, value.trim());
        else (metadata.#unreadable ??= new Set()).add(name);
        continue;
      }
      // Several binary values may come joined by commas (gRPC over HTTP/2, Custom-Metadata).
      for (const part of value.split(",")) {
        const bytes = decodeBase64(part.trim());
        if (bytes !== undefined) metadata.#add(name, bytes);
        else (metadata.#unreadable ??= new Set()).add(name);
      }
    }
    return metadata;
  }

  /** The header fields that carry this metadata. */
  toFields(): HeaderField[] {
    const fields: HeaderField[] = [];
    for (const [name, value] of this.entries()) {
      fields.push({ name, value: typeof value === "string" ? value : encodeBase64(value) });
    }
    return fields;
  }
}

/** Base64 as binary metadata has it. */
export function encodeBase64(bytes: Uint8Array): string {
  let binary = "";
  for (const octet of bytes) binary += String.fromCharCode(octet);
  // Without padding, as the protocol recommends to senders.
  return btoa(binary).replace(/=+$/, "");
}

/** The bytes of binary metadata; undefined where they are none. */
export function decodeBase64(text: string): Uint8Array | undefined {
  try {
    const binary = atob(text);
    return Uint8Array.from(binary, (char) => char.charCodeAt(0));
  } catch {
    // Not base64: there is no value to give.
    return undefined;
  }
}

function isReserved(name: string): boolean {
  return name.startsWith(":") || name.startsWith("grpc-") || RESERVED.has(name);
}
