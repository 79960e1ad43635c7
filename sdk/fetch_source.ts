import { create, toBinary } from "@bufbuild/protobuf";
import type { ResponseStream } from "@msgbus/grpc";
import { FetchRequestSchema, MsgbusService } from "@msgbus/proto";
import { SDK_LIMITS } from "./limits.ts";
import type { Message } from "./message.ts";
import { MessageDecoder } from "./message_decoder.ts";
import type { MessageSource } from "./message_stream.ts";
import type { NodeId } from "./node_id.ts";
import { pathOf, type Rpc } from "./rpc.ts";

/** Which stored messages to read. */
export interface FetchRange {
  readonly topic: string;
  readonly origin: NodeId | undefined;
  /** First head wanted. */
  readonly from: bigint;
  /** Most messages wanted; may be Infinity. */
  readonly limit: number;
  /** Milliseconds that each call may take; no bound where undefined. */
  readonly timeoutMs: number | undefined;
  /** The name of a log that was set aside; "" for the one in use. */
  readonly archive: string;
}

/** The stored messages of a range, asked for page after page. */
export class FetchSource implements MessageSource {
  readonly #rpc: Rpc;
  readonly #range: FetchRange;
  readonly #over: AbortController;
  readonly #decoder = new MessageDecoder();
  #from: bigint;
  #left: number;
  #page: { readonly stream: ResponseStream; missing: number } | undefined;

  /** Asks with the first {@linkcode nextBatch}. `over` is aborted when it is over, however that came. */
  constructor(rpc: Rpc, range: FetchRange, over: AbortController) {
    this.#rpc = rpc;
    this.#over = over;
    this.#range = range;
    this.#from = range.from;
    this.#left = range.limit;
  }

  /** Reads as {@linkcode MessageSource.nextBatch} says. */
  async nextBatch(): Promise<readonly Message[] | null> {
    try {
      while (!this.#over.signal.aborted && (this.#page !== undefined || this.#left > 0)) {
        const page = this.#page ??= this.#open();
        const batch = await page.stream.nextBatch();
        if (batch !== null) return this.#take(page, batch);
        this.#page = undefined;
        // Fewer than asked for: there is nothing beyond.
        if (page.missing > 0) break;
      }
      this.close();
      return null;
    } catch (error) {
      const wanted = !this.#over.signal.aborted;
      this.close();
      if (wanted) throw this.#rpc.errorOf(error);
      return null;
    }
  }

  /** Cancels the call. */
  close(): void {
    this.#over.abort();
  }

  #take(page: { missing: number }, batch: readonly Uint8Array[]): readonly Message[] {
    const messages = batch.map((bytes) => this.#decoder.decode(bytes));
    const last = messages[messages.length - 1];
    if (last !== undefined) this.#from = BigInt(last.headId) + 1n;
    this.#left -= messages.length;
    page.missing -= messages.length;
    return messages;
  }

  #open(): { readonly stream: ResponseStream; missing: number } {
    const { topic, origin, timeoutMs, archive } = this.#range;
    const limit = Math.min(this.#left, SDK_LIMITS.fetchPageMessages);
    const request = create(FetchRequestSchema, {
      topic,
      fromHeadId: this.#from,
      limit,
      archive,
      ...(origin && { origin }),
    });
    const stream = this.#rpc.stream(
      pathOf(MsgbusService.method.fetch),
      toBinary(FetchRequestSchema, request),
      {
        signal: this.#over.signal,
        ...(timeoutMs !== undefined && { timeoutMs }),
      },
    );
    return { stream, missing: limit };
  }
}
