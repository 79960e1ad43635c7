import { create, toBinary } from "@bufbuild/protobuf";
import type { ResponseStream } from "@msgbus/grpc";
import { MsgbusService, SubscribeRequestSchema } from "@msgbus/proto";
import { MsgbusError } from "./error.ts";
import { headToWire, numberFromWire } from "./head_number.ts";
import type { Message } from "./message.ts";
import { MessageDecoder } from "./message_decoder.ts";
import type { MessageSource } from "./message_stream.ts";
import type { NodeId } from "./node_id.ts";
import { PERMANENT_FAILURES } from "./permanent_failures.ts";
import { type Reconnect, Reconnection } from "./reconnection.ts";
import { pathOf, type Rpc } from "./rpc.ts";

/** What to follow. */
export interface SubscribeRange {
  readonly topic: string;
  readonly origin: NodeId | undefined;
  /** First head wanted, or only what is published from now on. */
  readonly from: number | "now";
  /** Messages that the daemon reads at once. */
  readonly pageSize: number;
  readonly onReconnect: ((reconnect: Reconnect) => void) | undefined;
}

/**
 * A log from a head on, live after what is stored. It connects anew after a loss and goes on after the last message
 * that it gave out, so that each comes once and none is left out, whatever happens between.
 */
export class SubscribeSource implements MessageSource {
  readonly #rpc: Rpc;
  readonly #range: SubscribeRange;
  readonly #over: AbortController;
  readonly #decoder = new MessageDecoder();
  /** The head wanted next; undefined until it is known what "now" means. */
  #next: number | undefined;
  #now: Promise<number> | undefined;
  #stream: { readonly responses: ResponseStream; readonly openedMs: number; fresh: boolean } | undefined;
  readonly #reconnection: Reconnection;

  /** Connects with the first {@linkcode nextBatch}; "now" is asked for at once. `over` is aborted when it is over. */
  constructor(rpc: Rpc, range: SubscribeRange, over: AbortController) {
    this.#rpc = rpc;
    this.#over = over;
    this.#range = range;
    this.#reconnection = new Reconnection(rpc, range.onReconnect);
    if (range.from !== "now") this.#next = range.from;
    else {
      // Asked before anything the caller does next, so that what it publishes next is after "now".
      this.#now = this.#findNow();
      // A failure is for the reader, who may come later.
      this.#now.catch(() => {});
    }
  }

  /** Reads as {@linkcode MessageSource.nextBatch} says. */
  async nextBatch(): Promise<readonly Message[] | null> {
    while (!this.#over.signal.aborted) {
      try {
        const messages = await this.#read();
        if (messages.length > 0) return messages;
      } catch (thrown) {
        if (this.#over.signal.aborted) return null;
        const error = this.#rpc.errorOf(thrown);
        const livedMs = this.#endStream();
        if (PERMANENT_FAILURES.has(error.code)) {
          this.close();
          throw error;
        }
        await this.#reconnection.wait(error, livedMs, this.#over.signal);
      }
    }
    return null;
  }

  /** Cancels whatever it waits for. */
  close(): void {
    this.#over.abort();
  }

  async #read(): Promise<readonly Message[]> {
    this.#next ??= await (this.#now ??= this.#findNow());
    const stream = this.#stream ??= this.#open(this.#next);
    const batch = await stream.responses.nextBatch();
    if (batch === null) {
      throw new MsgbusError("UNAVAILABLE", `${this.#rpc.target}: the daemon ended the stream`);
    }
    return this.#take(stream, batch, this.#next);
  }

  #take(stream: { fresh: boolean }, batch: readonly Uint8Array[], from: number): readonly Message[] {
    const messages: Message[] = [];
    let next = from;
    for (const bytes of batch) {
      const message = this.#decoder.decode(bytes);
      if (message.headId > next) {
        if (stream.fresh) throw this.#gap(next, message.headId);
        // A daemon that skipped: asking for the rest again brings it, or shows that it is gone.
        this.#endStream();
        break;
      }
      stream.fresh = false;
      if (message.headId < next) continue;
      messages.push(message);
      next++;
    }
    this.#next = next;
    if (messages.length > 0) this.#reconnection.succeeded();
    return messages;
  }

  #open(next: number): { readonly responses: ResponseStream; readonly openedMs: number; fresh: boolean } {
    const { topic, origin, pageSize } = this.#range;
    const request = create(SubscribeRequestSchema, {
      topic,
      fromHeadId: headToWire(next, "from"),
      replayLimit: pageSize,
      ...(origin && { origin }),
    });
    const responses = this.#rpc.stream(
      pathOf(MsgbusService.method.subscribe),
      toBinary(SubscribeRequestSchema, request),
      { signal: this.#over.signal },
    );
    return { responses, openedMs: this.#rpc.clock.nowMs(), fresh: true };
  }

  /** Forgets the stream; returns how long it lived. */
  #endStream(): number {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#now = undefined;
    if (stream === undefined) return 0;
    // It has failed or is not wanted any more: there is nothing to wait for.
    void stream.responses.cancel();
    return this.#rpc.clock.nowMs() - stream.openedMs;
  }

  async #findNow(): Promise<number> {
    const { topic, origin } = this.#range;
    const { headId } = await this.#rpc.unary(
      MsgbusService.method.getHead,
      { topic, ...(origin && { origin }) },
      { signal: this.#over.signal },
    );
    return numberFromWire(headId) + 1;
  }

  #gap(wanted: number, came: number): MsgbusError {
    return new MsgbusError(
      "DATA_LOSS",
      `Cannot follow ${
        JSON.stringify(this.#range.topic)
      }: the daemon was asked for head ${wanted} and sent ${came}`,
    );
  }
}
