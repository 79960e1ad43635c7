import { entriesOfHeaders } from "../later_fields.ts";
import type { MessageReader } from "../message_codec.ts";
import { UUID_BYTES } from "../uuid_bytes.ts";

/** Compares messages one by one. */
export class MessageComparison {
  readonly #storedUuid = new Uint8Array(UUID_BYTES);
  readonly #otherUuid = new Uint8Array(UUID_BYTES);

  /**
   * The first field in which messages differ; undefined where none does. A deleted one has no payload and headers, and what
   * a later version said may have been lost on the way of one of them.
   */
  differentField(stored: MessageReader, other: MessageReader): string | undefined {
    if (!this.#sameId(stored, other)) return "id";
    if (stored.createdAtMs !== other.createdAtMs) return "time";
    if (stored.deleted || other.deleted) return undefined;
    if (!equal(stored.payload, other.payload)) return "payload";
    return equal(entriesOfHeaders(stored.headers), entriesOfHeaders(other.headers)) ? undefined : "headers";
  }

  #sameId(stored: MessageReader, other: MessageReader): boolean {
    if (stored.hasUuid !== other.hasUuid) return false;
    if (!stored.hasUuid) return equal(stored.textBytes, other.textBytes);
    stored.copyUuid(this.#storedUuid);
    other.copyUuid(this.#otherUuid);
    return equal(this.#storedUuid, this.#otherUuid);
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}
