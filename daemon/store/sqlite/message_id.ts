import { formatUuid, parseUuid, UUID_BYTES } from "../uuid_bytes.ts";
import type { ByteReader } from "./byte_reader.ts";
import type { ByteWriter } from "./byte_writer.ts";

/** How the id of a message in a queue is kept: 16 bytes for a canonical UUID, its text for anything else. */
export type StoredId = Uint8Array | string;

const KIND_TEXT = 0;
const KIND_UUID = 1;

const uuid = new Uint8Array(UUID_BYTES);

export function writeId(to: ByteWriter, id: string): void {
  writeStoredId(to, parseUuid(id, uuid) ? uuid : id);
}

export function writeStoredId(to: ByteWriter, id: StoredId): void {
  to.u8(typeof id === "string" ? KIND_TEXT : KIND_UUID);
  if (typeof id === "string") to.text(id);
  else to.raw(id);
}

export function readStoredId(from: ByteReader): StoredId {
  return from.u8() === KIND_UUID ? from.raw(UUID_BYTES) : from.text();
}

export function readId(from: ByteReader): string {
  const id = readStoredId(from);
  return typeof id === "string" ? id : formatUuid(id);
}
