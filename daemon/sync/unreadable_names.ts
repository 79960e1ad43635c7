import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, type WireType } from "@bufbuild/protobuf/wire";
import { TopicHeadSchema } from "@msgbus/proto";
import { SyncLogSchema } from "@msgbus/proto/sync";

/** Tags: field number × 8 + wire type. */
const RESPONSE_LOGS = 0x12;
const LOG_NUMBER = 0x08;
const ANSWER_HEADS = 0x0a;
const HEAD_ID = 0x18;

/**
 * A SyncResponse in which each log whose names are no UTF-8 has no name, which is refused for that log alone. As it was,
 * no part of it could be read. Throws where it is no SyncResponse.
 */
export function withoutUnreadableNames(response: Uint8Array): Uint8Array {
  // Its number must count all the same: those behind it go on from there.
  return mended(response, RESPONSE_LOGS, SyncLogSchema, (log) => ({ log: varintOf(log, LOG_NUMBER) }));
}

/** The same of a ListHeadsResponse. */
export function withoutUnreadableHeads(answer: Uint8Array): Uint8Array {
  return mended(answer, ANSWER_HEADS, TopicHeadSchema, (head) => ({ headId: varintOf(head, HEAD_ID) }));
}

/** A message whose fields with a tag are others where they can't be read. */
function mended<Part extends DescMessage>(
  message: Uint8Array,
  tag: number,
  schema: Part,
  instead: (part: Uint8Array) => MessageInitShape<Part>,
): Uint8Array {
  const reader = new BinaryReader(message);
  const writer = new BinaryWriter();
  while (reader.pos < reader.len) {
    const from = reader.pos;
    const found = reader.uint32();
    if (found !== tag) {
      skip(reader, found);
      writer.raw(message.subarray(from, reader.pos));
      continue;
    }
    const part = reader.bytes();
    writer.uint32(tag).bytes(
      isReadable(schema, part) ? part : toBinary(schema, create(schema, instead(part))),
    );
  }
  return writer.finish();
}

function isReadable(schema: DescMessage, encoded: Uint8Array): boolean {
  try {
    fromBinary(schema, encoded);
    return true;
  } catch {
    return false;
  }
}

function varintOf(encoded: Uint8Array, tag: number): bigint {
  const reader = new BinaryReader(encoded);
  let value = 0n;
  while (reader.pos < reader.len) {
    const found = reader.uint32();
    if (found === tag) value = BigInt(reader.uint64());
    else skip(reader, found);
  }
  return value;
}

function skip(reader: BinaryReader, tag: number): void {
  reader.skip(tag & 7 as WireType, tag >>> 3);
}
