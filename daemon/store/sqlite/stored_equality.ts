import { timeOfUuid } from "./message_id.ts";
import type { MessagePage, MessageRow } from "./message_pages.ts";
import type { ReplicatedEntry } from "./replication.ts";

const encoder = new TextEncoder();

/** The first message of a page that is not the one in `messages` at the same place, and the field that differs. */
export function firstDifference(
  { rows, content }: MessagePage,
  messages: readonly ReplicatedEntry[],
): { readonly at: number; readonly field: string } | undefined {
  let start = 0;
  for (const [at, row] of rows.entries()) {
    const message = messages[at];
    const field = message && differentField(row, content, start, message);
    if (field !== undefined) return { at, field };
    const [, , , , idBytes, payloadBytes, headerBytes] = row;
    start += idBytes + (payloadBytes ?? 0) + (headerBytes ?? 0);
  }
  return undefined;
}

function differentField(
  [, , createdAtMs, isUuid, idBytes, payloadBytes, headerBytes]: MessageRow,
  content: Uint8Array,
  start: number,
  message: ReplicatedEntry,
): string | undefined {
  const payloadAt = start + idBytes;
  const headersAt = payloadAt + (payloadBytes ?? 0);
  const isText = typeof message.id === "string";
  const id = typeof message.id === "string" ? encoder.encode(message.id) : message.id;
  if ((isUuid === 1) === isText || !equal(content, start, payloadAt, id)) return "id";
  if ((createdAtMs ?? timeOfUuid(content, start)) !== message.createdAtMs) return "time";
  if (message.deleted || payloadBytes === null) return undefined;
  if (!equal(content, payloadAt, headersAt, message.payload)) return "payload";
  return equal(content, headersAt, headersAt + (headerBytes ?? 0), message.headers) ? undefined : "headers";
}

function equal(content: Uint8Array, start: number, end: number, bytes: Uint8Array): boolean {
  if (end - start !== bytes.length) return false;
  for (let at = 0; at < bytes.length; at++) if (content[start + at] !== bytes[at]) return false;
  return true;
}
