import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { type SyncResponse, SyncResponseSchema } from "@msgbus/proto/sync";
import type { Message } from "../bus/message.ts";
import { putVarint, varintBytes } from "../bus/varint.ts";
import { FIRST_LATER_FIELD, isKeptWireType, joined, type ReplicatedMessage } from "../store/store.ts";
import { checkFieldCount } from "./field_count.ts";
import { MAX_RECEIVED_LOGS, MAX_RECEIVED_MESSAGES, MAX_RECEIVED_PADDING_BYTES } from "./limits.ts";
import { PeerError } from "./peer_link.ts";
import { withoutUnreadableNames } from "./unreadable_names.ts";

/** Tags: field number × 8 + wire type. */
const RESPONSE_BATCH = 0x22;
const BATCH_LOG = 0x08;
const BATCH_FIRST_HEAD_ID = 0x10;
const BATCH_MESSAGE = 0x1a;
const ID = 0x0a;
const PAYLOAD = 0x2a;
const HEADERS = 0x32;
const CREATED_AT_MS = 0x38;
const DELETED = 0x40;

const NO_BYTES = new Uint8Array();

/** A batch as it arrived. */
export interface ReceivedBatch {
  readonly log: number;
  readonly messages: ReplicatedMessage[];
  /** Of the batch on the wire. */
  readonly bytes: number;
}

/** What one response said. */
export interface ReceivedResponse {
  /** Everything but the batch. */
  readonly news: SyncResponse | undefined;
  readonly batch: ReceivedBatch | undefined;
}

/**
 * Messages of one log as a SyncResponse. By hand, because every copied message passes here; `sync_codec_test.ts` holds it
 * against the generated code.
 */
export function encodeBatch(log: number, messages: readonly Message[]): Uint8Array<ArrayBuffer> {
  const firstHeadId = messages[0]?.headId ?? 0;
  const sizes = messages.map(messageBytes);
  let batchBytes = 2 + varintBytes(log) + varintBytes(firstHeadId);
  for (const size of sizes) batchBytes += 1 + varintBytes(size) + size;
  const bytes = new Uint8Array(1 + varintBytes(batchBytes) + batchBytes);
  bytes[0] = RESPONSE_BATCH;
  let at = putVarint(bytes, 1, batchBytes);
  bytes[at++] = BATCH_LOG;
  at = putVarint(bytes, at, log);
  bytes[at++] = BATCH_FIRST_HEAD_ID;
  at = putVarint(bytes, at, firstHeadId);
  for (let i = 0; i < messages.length; i++) {
    const message = messages[i];
    if (message === undefined) break;
    bytes[at++] = BATCH_MESSAGE;
    at = putVarint(bytes, at, sizes[i] ?? 0);
    at = putMessage(bytes, at, message);
  }
  return bytes;
}

/** Reads a response, and passes over fields that it does not know, but for those of messages, which are kept. Throws PeerError "refused" when it is none. */
export function decodeResponse(bytes: Uint8Array): ReceivedResponse {
  try {
    // A batch is alone in its response, and nearly all responses are batches.
    if (bytes[0] === RESPONSE_BATCH) {
      const reader = new BinaryReader(bytes);
      reader.uint32();
      const batch = reader.bytes();
      if (reader.pos === reader.len) return { news: undefined, batch: decodeBatch(batch) };
    }
    checkFieldCount(bytes, MAX_RECEIVED_LOGS);
    const reader = new BinaryReader(bytes);
    const batches: Uint8Array[] = [];
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (field === RESPONSE_BATCH >>> 3 && wireType === WireType.LengthDelimited) {
        const batch = reader.bytes();
        // Its log and its first head count too.
        checkFieldCount(batch, MAX_RECEIVED_MESSAGES + 2);
        batches.push(batch);
      } else reader.skip(wireType, field);
    }
    // Several are parts of one, as protobuf says.
    return {
      news: decodeNews(bytes),
      batch: batches.length === 0 ? undefined : decodeBatch(joined(batches)),
    };
  } catch (error) {
    if (error instanceof PeerError) throw error;
    throw new PeerError("refused", "what the peer sent is no SyncResponse", { cause: error });
  }
}

function decodeNews(bytes: Uint8Array): SyncResponse {
  try {
    return fromBinary(SyncResponseSchema, bytes, { readUnknownFields: false });
  } catch {
    // Where that was not the reason, it fails again.
    return fromBinary(SyncResponseSchema, withoutUnreadableNames(bytes), { readUnknownFields: false });
  }
}

function messageBytes({ idLength, payload, headers, createdAtMs, deleted }: Message): number {
  return 1 + varintBytes(idLength) + idLength +
    (payload.length === 0 ? 0 : 1 + varintBytes(payload.length) + payload.length) + headers.length +
    1 + varintBytes(createdAtMs) + (deleted ? 2 : 0);
}

function putMessage(bytes: Uint8Array, at: number, message: Message): number {
  const { payload, headers, createdAtMs, deleted } = message;
  bytes[at++] = ID;
  at = message.putId(bytes, putVarint(bytes, at, message.idLength));
  if (payload.length > 0) {
    bytes[at++] = PAYLOAD;
    at = putVarint(bytes, at, payload.length);
    bytes.set(payload, at);
    at += payload.length;
  }
  bytes.set(headers, at); // they are kept as fields of an envelope, which have the same number here
  at += headers.length;
  bytes[at++] = CREATED_AT_MS;
  at = putVarint(bytes, at, createdAtMs);
  if (deleted) {
    bytes[at++] = DELETED;
    bytes[at++] = 1;
  }
  return at;
}

function decodeBatch(encoded: Uint8Array): ReceivedBatch {
  const reader = new BinaryReader(encoded);
  let log = 0;
  let headId = 0;
  const messages: ReplicatedMessage[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    switch (tag) {
      case BATCH_LOG:
        log = Number(reader.uint64());
        break;
      case BATCH_FIRST_HEAD_ID:
        headId = Number(reader.uint64());
        break;
      case BATCH_MESSAGE:
        if (messages.length === MAX_RECEIVED_MESSAGES) {
          throw new PeerError(
            "refused",
            `the peer sends more than ${MAX_RECEIVED_MESSAGES} messages at once`,
          );
        }
        messages.push(decodeMessage(reader.bytes(), headId++));
        break;
      default:
        reader.skip(tag & 7 as WireType, tag >>> 3);
    }
  }
  // The messages are views of the response: one that is kept keeps all of it in memory.
  const used = messages.reduce((sum, message) => sum + usedBytes(message), MAX_RECEIVED_PADDING_BYTES);
  if (encoded.length > used) {
    throw new PeerError("refused", "the peer's batch is filled with what is no message");
  }
  return { log, messages, bytes: encoded.length };
}

/** What a message may take on the wire, with fields of another version. */
function usedBytes({ id, payload, headers }: ReplicatedMessage): number {
  return id.length + payload.length + headers.length + MAX_RECEIVED_PADDING_BYTES;
}

function decodeMessage(bytes: Uint8Array, headId: number): ReplicatedMessage {
  const reader = new BinaryReader(bytes);
  let [id, createdAtMs, deleted] = ["", 0, false];
  let payload: Uint8Array = NO_BYTES;
  let [headersFrom, headersTo] = [0, 0];
  let scattered: Uint8Array[] | undefined;
  let later: Uint8Array[] | undefined;
  while (reader.pos < reader.len) {
    const from = reader.pos;
    const tag = reader.uint32();
    switch (tag) {
      case ID:
        id = reader.string();
        break;
      case PAYLOAD:
        payload = reader.bytes();
        break;
      case HEADERS:
        reader.bytes();
        // Entries stand one behind the other; where another implementation scatters them, they are gathered.
        if (headersTo === 0) [headersFrom, headersTo] = [from, reader.pos];
        else if (headersTo === from && scattered === undefined) headersTo = reader.pos;
        else (scattered ??= [bytes.subarray(headersFrom, headersTo)]).push(bytes.subarray(from, reader.pos));
        break;
      case CREATED_AT_MS:
        createdAtMs = Number(reader.uint64());
        break;
      case DELETED:
        deleted = reader.bool();
        break;
      default:
        reader.skip(tag & 7 as WireType, tag >>> 3);
        if (tag >>> 3 >= FIRST_LATER_FIELD && isKeptWireType(tag & 7)) {
          (later ??= []).push(bytes.subarray(from, reader.pos));
        }
    }
  }
  const entries = scattered ?? [bytes.subarray(headersFrom, headersTo)];
  const headers = scattered === undefined && later === undefined
    ? bytes.subarray(headersFrom, headersTo)
    : joined([...entries, ...later ?? []]);
  return { headId, id, createdAtMs, payload, headers, deleted };
}
