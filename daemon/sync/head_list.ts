import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, type WireType } from "@bufbuild/protobuf/wire";
import { TopicHeadSchema } from "@msgbus/proto";
import { nodeOf, toNumber } from "./answer_sync.ts";
import { HEADS_PER_TURN } from "./limits.ts";
import type { RemoteHead } from "./peer_link.ts";

/** Tags: field number × 8 + wire type. */
const HEADS = 0x0a;
const HEAD_ID = 0x18;

/**
 * Reads a ListHeadsResponse, which may be of many megabytes, some heads at a time: `turn` lets everything else have its
 * turn. A head whose names are no UTF-8 has none, which is refused for that log alone. Rejects where it is no
 * ListHeadsResponse.
 */
export async function readHeads(answer: Uint8Array, turn: () => Promise<void>): Promise<RemoteHead[]> {
  const heads: RemoteHead[] = [];
  const reader = new BinaryReader(answer);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag !== HEADS) {
      skip(reader, tag);
      continue;
    }
    heads.push(readHead(reader.bytes()));
    if (heads.length % HEADS_PER_TURN === 0) await turn();
  }
  return heads;
}

function readHead(encoded: Uint8Array): RemoteHead {
  let head;
  try {
    head = fromBinary(TopicHeadSchema, encoded, { readUnknownFields: false });
  } catch {
    // Where that was not the reason, it fails again.
    return { topic: "", origin: nodeOf(undefined), headId: headIdOf(encoded), incarnation: "" };
  }
  const { topic, origin, headId, incarnation } = head;
  return { topic, origin: nodeOf(origin), headId: toNumber(headId), incarnation };
}

function headIdOf(encoded: Uint8Array): number {
  const reader = new BinaryReader(encoded);
  let headId = 0n;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === HEAD_ID) headId = BigInt(reader.uint64());
    else skip(reader, tag);
  }
  return toNumber(headId);
}

function skip(reader: BinaryReader, tag: number): void {
  reader.skip(tag & 7 as WireType, tag >>> 3);
}
