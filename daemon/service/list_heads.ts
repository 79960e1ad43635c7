import { create, toBinary } from "@bufbuild/protobuf";
import { ListHeadsResponseSchema } from "@msgbus/proto";
import type { LogHead } from "../store/store.ts";
import { HEADS_PER_TURN } from "./limits.ts";

/**
 * Encodes ListHeadsResponses, which have tens of megabytes where there are many logs: one after the other, because a
 * connection may ask for a thousand, and all would be in memory; and in parts, between which everything else has its turn.
 */
export class HeadsEncoder {
  readonly #nextTurn: () => Promise<void>;
  /** Settles when the last one that was asked for is encoded; never rejects. */
  #last = Promise.resolve();

  /** `nextTurn` settles when others had their turn. */
  constructor(nextTurn: () => Promise<void>) {
    this.#nextTurn = nextTurn;
  }

  /** Encodes the `heads` that there are when those before are done. Rejects as `heads` throws, and with the signal's reason. */
  async encode(heads: () => readonly LogHead[], signal: AbortSignal): Promise<Uint8Array> {
    const encoded = this.#last.then(async () => {
      signal.throwIfAborted();
      return await encodeHeads(heads(), async () => {
        await this.#nextTurn();
        signal.throwIfAborted();
      });
    });
    this.#last = encoded.then(() => {}, () => {});
    return await encoded;
  }
}

/** `nextTurn` is waited for between parts, while they are encoded and while they are joined. */
async function encodeHeads(heads: readonly LogHead[], nextTurn: () => Promise<void>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < heads.length; at += HEADS_PER_TURN) {
    if (at > 0) await nextTurn();
    parts.push(encodePart(heads.slice(at, at + HEADS_PER_TURN)));
  }
  // The elements of a repeated field may come one after the other: encoded parts in a row are the whole.
  const answer = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const part of parts) {
    if (end > 0) await nextTurn();
    answer.set(part, end);
    end += part.length;
  }
  return answer;
}

function encodePart(heads: readonly LogHead[]): Uint8Array {
  return toBinary(
    ListHeadsResponseSchema,
    create(ListHeadsResponseSchema, {
      heads: heads.map(({ topic, origin, headId, incarnation }) => ({
        topic,
        origin,
        headId: BigInt(headId),
        incarnation,
      })),
    }),
  );
}
