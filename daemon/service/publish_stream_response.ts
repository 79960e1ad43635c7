import type { PublishedRun, PublishOutcome, PublishRefusal } from "../bus/requests.ts";
import { putVarint, varintBytes } from "../bus/varint.ts";
import { parseUuid, UUID_BYTES } from "../store/store.ts";
import { statusCodeOf } from "./status.ts";

/** A batch whose messages are all durable or refused. */
export interface SettledBatch {
  /** The sequence of its first message in the call. */
  readonly firstSequence: number;
  readonly count: number;
  readonly outcomes: readonly PublishOutcome[];
}

/** Tags of PublishStreamResponse: field number × 8 + wire type. */
const ACKNOWLEDGED = 0x10;
const PUBLISHED = 0x1a;
const REFUSED = 0x22;
/** Tags of PublishedRun and PublishRefusal; the first two have the same numbers in both. */
const FIRST_SEQUENCE = 0x08;
const COUNT = 0x10;
const FIRST_HEAD_ID = 0x18;
const FIRST_UUID = 0x22;
const CREATED_AT_MS = 0x28;
const DUPLICATE = 0x30;
const DELETED = 0x38;
const CODE = 0x18;
const MESSAGE = 0x22;

/** The largest varint of a safe integer, and a tag. */
const FIELD_BYTES = 1 + 8;
/** More than any PublishedRun has, with its own tag and length. */
const RUN_BYTES = 2 + 4 * FIELD_BYTES + 2 + UUID_BYTES + 2 * 2;
/** More than any PublishRefusal has beside its message. */
const REFUSAL_BYTES = 5 * FIELD_BYTES;

const encoder = new TextEncoder();

/** Where answers are put together before they are cut out; a larger one is not kept. */
const SCRATCH_BYTES = 16_384;
let scratch = new Uint8Array(SCRATCH_BYTES);

/**
 * What became of batches that follow one another, as a PublishStreamResponse. By hand, because every batch passes here:
 * the objects of the generated code outlive it until the collector goes through everything. `publish_stream_response_test.ts`
 * holds it against that.
 */
export function encodeOutcomes(batches: readonly SettledBatch[]): Uint8Array {
  const last = batches.at(-1);
  if (last === undefined) return new Uint8Array();
  let at = putField(scratch, 0, ACKNOWLEDGED, last.firstSequence + last.count - 1);
  const refusals: [firstSequence: number, refusal: PublishRefusal][] = [];
  for (const { firstSequence, outcomes } of batches) {
    for (const outcome of outcomes) {
      const sequence = firstSequence + outcome.at;
      if (outcome.kind === "refused") refusals.push([sequence, outcome]);
      else at = putRun(at, sequence, outcome);
    }
  }
  for (const [sequence, refusal] of refusals) at = putRefusal(at, sequence, refusal);
  const encoded = scratch.slice(0, at);
  if (scratch.length > SCRATCH_BYTES) scratch = new Uint8Array(SCRATCH_BYTES);
  return encoded;
}

function putRun(start: number, firstSequence: number, run: PublishedRun): number {
  reserve(start, RUN_BYTES);
  const bytes = scratch;
  bytes[start] = PUBLISHED;
  let at = start + 2;
  at = putField(bytes, at, FIRST_SEQUENCE, firstSequence);
  at = putField(bytes, at, COUNT, run.count);
  at = putField(bytes, at, FIRST_HEAD_ID, run.headId);
  bytes[at++] = FIRST_UUID;
  bytes[at++] = UUID_BYTES;
  parseUuid(run.uuid.text, bytes.subarray(at, at += UUID_BYTES));
  at = putField(bytes, at, CREATED_AT_MS, run.createdAtMs);
  at = putField(bytes, at, DUPLICATE, Number(run.duplicate));
  at = putField(bytes, at, DELETED, Number(run.deleted));
  bytes[start + 1] = at - start - 2; // RUN_BYTES is less than the 128 that would need another byte
  return at;
}

function putRefusal(at: number, firstSequence: number, { count, error }: PublishRefusal): number {
  const message = encoder.encode(error.message);
  reserve(at, REFUSAL_BYTES + message.length);
  const bytes = scratch;
  const code = statusCodeOf(error);
  const size = fieldBytes(firstSequence) + fieldBytes(count) + fieldBytes(code) +
    (message.length === 0 ? 0 : 1 + varintBytes(message.length) + message.length);
  bytes[at++] = REFUSED;
  at = putVarint(bytes, at, size);
  at = putField(bytes, at, FIRST_SEQUENCE, firstSequence);
  at = putField(bytes, at, COUNT, count);
  at = putField(bytes, at, CODE, code);
  if (message.length === 0) return at;
  bytes[at++] = MESSAGE;
  at = putVarint(bytes, at, message.length);
  bytes.set(message, at);
  return at + message.length;
}

/** A varint field; left out where it is 0, as proto3 does with its scalars. */
function putField(bytes: Uint8Array, at: number, tag: number, value: number): number {
  if (value === 0) return at;
  bytes[at++] = tag;
  return putVarint(bytes, at, value);
}

function fieldBytes(value: number): number {
  return value === 0 ? 0 : 1 + varintBytes(value);
}

/** Makes room for so many bytes from a place on. */
function reserve(at: number, bytes: number): void {
  if (at + bytes <= scratch.length) return;
  const larger = new Uint8Array(2 * (at + bytes));
  larger.set(scratch);
  scratch = larger;
}
