import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ResponseStream } from "@msgbus/grpc";
import { ConsumePosition, type ConsumeStartSchema, StreamService } from "@msgbus/proto/stream";
import { type ConsumedBatch, ConsumeDecoder } from "./consume_decoder.ts";
import { ConsumeWindow } from "./consume_window.ts";
import { MsgbusError } from "./error.ts";
import type { Message } from "./message.ts";
import type { MessageSource } from "./message_stream.ts";
import type { NodeId } from "./node_id.ts";
import { PERMANENT_FAILURES } from "./permanent_failures.ts";
import { type Reconnect, Reconnection } from "./reconnection.ts";
import { pathOf, type Rpc } from "./rpc.ts";

/** Where consuming begins: an end of what is stored, a head in each log, a time, or a cursor. */
export type ConsumeFrom =
  | "oldest"
  | "newest"
  | { readonly head: number }
  | { readonly time: Date | number }
  | { readonly cursor: string };

/** What to consume. */
export interface ConsumeRange {
  readonly patterns: readonly string[];
  readonly origins: readonly NodeId[];
  readonly from: ConsumeFrom;
  readonly skipDeleted: boolean;
  /** Whether to go on with what is published later. */
  readonly follow: boolean;
  readonly onReconnect: ((reconnect: Reconnect) => void) | undefined;
}

/** One call of Consume. */
interface OpenCall {
  readonly responses: ResponseStream;
  readonly decoder: ConsumeDecoder;
  readonly window: ConsumeWindow;
  readonly openedMs: number;
}

/**
 * The messages of all logs that match, live after what is stored. It connects anew after a loss and goes on behind the
 * last answer that came, so that each message comes once.
 */
export class ConsumeSource implements MessageSource {
  readonly #rpc: Rpc;
  readonly #range: ConsumeRange;
  readonly #over: AbortController;
  #call: OpenCall | undefined;
  /** What came and was not given out. */
  #waiting: ConsumedBatch[] = [];
  /** What was given out last: its credit comes back when the next is asked for. */
  #given: ConsumedBatch | undefined;
  #cursor = "";
  #cursorBefore = "";
  #received = "";
  #caughtUp = false;
  readonly #reconnection: Reconnection;

  /** Connects with the first {@linkcode nextBatch}. `over` is aborted when it is over. */
  constructor(rpc: Rpc, range: ConsumeRange, over: AbortController) {
    this.#rpc = rpc;
    this.#range = range;
    this.#reconnection = new Reconnection(rpc, range.onReconnect);
    this.#over = over;
    if (range.from === "newest") {
      // Where the newest is, is known before anything that the caller does next.
      this.#call = this.#open();
      this.#first = this.#call.responses.nextBatch();
      this.#first.catch(() => {});
    } else if (typeof range.from === "object" && "cursor" in range.from) {
      this.#cursor = this.#cursorBefore = this.#received = range.from.cursor;
    }
  }

  #first: Promise<readonly Uint8Array[] | null> | undefined;

  /** The place behind what was given out; the one before the last batch where that was not taken whole. "" where none is known. */
  cursor(taken: boolean): string {
    return taken ? this.#cursor : this.#cursorBefore;
  }

  /** Whether everything stored was given out. */
  get caughtUp(): boolean {
    return this.#caughtUp;
  }

  /** Reads as {@linkcode MessageSource.nextBatch} says. */
  async nextBatch(): Promise<readonly Message[] | null> {
    this.#giveBack();
    while (!this.#over.signal.aborted) {
      try {
        const batch = this.#waiting.shift();
        if (batch === undefined) {
          await this.#receive();
          continue;
        }
        this.#take(batch);
        if (batch.messages.length > 0) return batch.messages;
        if (!this.#range.follow && this.#caughtUp) break;
      } catch (thrown) {
        if (this.#over.signal.aborted) return null;
        const error = this.#rpc.errorOf(thrown);
        const livedMs = this.#endCall();
        if (PERMANENT_FAILURES.has(error.code)) {
          this.close();
          throw error;
        }
        await this.#reconnection.wait(error, livedMs, this.#over.signal);
      }
    }
    this.close();
    return null;
  }

  /** Cancels whatever it waits for. */
  close(): void {
    this.#over.abort();
    this.#endCall();
  }

  #take(batch: ConsumedBatch): void {
    this.#given = batch;
    this.#cursorBefore = this.#cursor;
    if (batch.cursor !== "") this.#cursor = batch.cursor;
    this.#caughtUp = batch.caughtUp;
  }

  async #receive(): Promise<void> {
    if (!this.#range.follow && this.#caughtUp) return this.close();
    const call = this.#call ??= this.#open();
    const first = this.#first;
    this.#first = undefined;
    const batch = await (first ?? call.responses.nextBatch());
    if (batch === null) {
      throw new MsgbusError("UNAVAILABLE", `${this.#rpc.target}: the daemon ended the stream`);
    }
    for (const bytes of batch) {
      const consumed = call.decoder.decode(bytes);
      if (consumed.cursor !== "") this.#received = consumed.cursor;
      this.#waiting.push(consumed);
    }
    this.#reconnection.succeeded();
  }

  #giveBack(): void {
    const given = this.#given;
    this.#given = undefined;
    if (given !== undefined && given.messages.length > 0) {
      this.#call?.window.add(given.messages.length, given.bytes);
    }
  }

  #open(): OpenCall {
    const window = new ConsumeWindow(this.#start());
    const responses = this.#rpc.bidi(pathOf(StreamService.method.consume), window.requests(), {
      signal: this.#over.signal,
    });
    return { responses, decoder: new ConsumeDecoder(), window, openedMs: this.#rpc.clock.nowMs() };
  }

  #start(): MessageInitShape<typeof ConsumeStartSchema> {
    const { patterns, origins, from, skipDeleted } = this.#range;
    const start = { patterns: [...patterns], origins: [...origins], skipDeleted };
    if (this.#received !== "") return { ...start, from: { case: "cursor", value: this.#received } };
    if (from === "newest") return { ...start, from: { case: "position", value: ConsumePosition.NEWEST } };
    if (from === "oldest") return start;
    if ("head" in from) return { ...start, from: { case: "headId", value: BigInt(from.head) } };
    if ("time" in from) return { ...start, from: { case: "timeMs", value: BigInt(Number(from.time)) } };
    return { ...start, from: { case: "cursor", value: from.cursor } };
  }

  /** Forgets the call; returns how long it lived. */
  #endCall(): number {
    const call = this.#call;
    this.#call = undefined;
    this.#first = undefined;
    if (call === undefined) return 0;
    call.window.end();
    // It has failed or is not wanted any more: there is nothing to wait for.
    void call.responses.cancel();
    return this.#rpc.clock.nowMs() - call.openedMs;
  }
}
