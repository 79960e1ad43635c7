import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, type WireType } from "@bufbuild/protobuf/wire";
import { SyncLogSchema } from "@msgbus/proto/sync";

/** Tags: field number × 8 + wire type. */
const RESPONSE_LOGS = 0x12;
const LOG_NUMBER = 0x08;

/**
 * A SyncResponse in which each log whose names are no UTF-8 has no name, which is refused for that log alone. As it was,
 * no part of it could be read. Throws where it is no SyncResponse.
 */
export function withoutUnreadableNames(response: Uint8Array): Uint8Array {
  const reader = new BinaryReader(response);
  const writer = new BinaryWriter();
  while (reader.pos < reader.len) {
    const from = reader.pos;
    const tag = reader.uint32();
    if (tag === RESPONSE_LOGS) {
      writer.uint32(tag).bytes(readable(reader.bytes()));
      continue;
    }
    skip(reader, tag);
    writer.raw(response.subarray(from, reader.pos));
  }
  return writer.finish();
}

function readable(encoded: Uint8Array): Uint8Array {
  try {
    fromBinary(SyncLogSchema, encoded);
    return encoded;
  } catch {
    // Its number must count all the same: those behind it go on from there.
    return toBinary(SyncLogSchema, create(SyncLogSchema, { log: numberOf(encoded) }));
  }
}

function numberOf(encoded: Uint8Array): bigint {
  const reader = new BinaryReader(encoded);
  let number = 0n;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === LOG_NUMBER) number = BigInt(reader.uint64());
    else skip(reader, tag);
  }
  return number;
}

function skip(reader: BinaryReader, tag: number): void {
  reader.skip(tag & 7 as WireType, tag >>> 3);
}
