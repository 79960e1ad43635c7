import { create, toBinary } from "@bufbuild/protobuf";
import { PublishedRunSchema, PublishRefusalSchema, PublishStreamResponseSchema } from "@msgbus/proto/stream";
import type { PublishOutcome } from "../bus/requests.ts";
import { statusCodeOf } from "./status.ts";
import { uuidBytes } from "./uuid_bytes.ts";

/** A batch whose messages are all durable or refused. */
export interface SettledBatch {
  /** The sequence of its first message in the call. */
  readonly firstSequence: number;
  readonly count: number;
  readonly outcomes: readonly PublishOutcome[];
}

/** What became of batches that follow one another, as a PublishStreamResponse. */
export function encodeOutcomes(batches: readonly SettledBatch[]): Uint8Array {
  const response = create(PublishStreamResponseSchema);
  for (const { firstSequence, count, outcomes } of batches) {
    for (const outcome of outcomes) {
      const sequence = BigInt(firstSequence + outcome.at);
      if (outcome.kind === "refused") {
        const { count, error } = outcome;
        response.refused.push(
          create(PublishRefusalSchema, {
            firstSequence: sequence,
            count,
            code: statusCodeOf(error),
            message: error.message,
          }),
        );
      } else {
        const { count, headId, uuid, createdAtMs, duplicate, deleted } = outcome;
        response.published.push(
          create(PublishedRunSchema, {
            firstSequence: sequence,
            count,
            firstHeadId: BigInt(headId),
            firstUuid: uuidBytes(uuid.text),
            createdAtMs: BigInt(createdAtMs),
            duplicate,
            deleted,
          }),
        );
      }
    }
    response.acknowledged = BigInt(firstSequence + count - 1);
  }
  return toBinary(PublishStreamResponseSchema, response);
}
