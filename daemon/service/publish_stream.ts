import { create, toBinary } from "@bufbuild/protobuf";
import { Status, StatusError, type StreamingServerCall } from "@msgbus/grpc/server";
import { PublishStreamResponseSchema } from "@msgbus/proto/stream";
import type { BusAccess } from "../bus/bus_access.ts";
import { pendingBytes } from "../bus/pending_publish.ts";
import type { BatchMessage, Producer, PublishOutcome } from "../bus/requests.ts";
import type { NodeName } from "../store/store.ts";
import { MAX_BATCH_MESSAGES, MAX_STREAM_PENDING_BYTES } from "./limits.ts";
import { type PublishStreamRequest, PublishStreamRequestReader } from "./publish_stream_request.ts";
import { encodeOutcomes, type SettledBatch } from "./publish_stream_response.ts";

/** A batch on its way to the disk. */
interface PendingBatch {
  readonly firstSequence: number;
  readonly count: number;
  /** Present when it is settled; "failed" where nothing is known of it, and the call ends. */
  outcomes: readonly PublishOutcome[] | "failed" | undefined;
}

/** One call of PublishStream: requests to batches of the bus, outcomes to acknowledgements in the order of the messages. */
export class PublishStream {
  readonly #node: NodeName;
  readonly #bus: BusAccess;
  readonly #call: StreamingServerCall;
  readonly #reader = new PublishStreamRequestReader();
  readonly #pending: PendingBatch[] = [];
  #pendingBytes = 0;
  #begun = false;
  #producer: Producer | undefined;
  #nextSequence = 1;
  #failed: { readonly error: unknown } | undefined;
  /** Whether a batch failed: what was stored behind it can't be acknowledged. */
  #hasGap = false;
  /** Stops taking requests; set when they begin to be taken. */
  #end: (() => void) | undefined;
  #settled: (() => void) | undefined;

  constructor(node: NodeName, bus: BusAccess, call: StreamingServerCall) {
    this.#node = node;
    this.#bus = bus;
    this.#call = call;
  }

  /**
   * Settles when the client has said all and everything is acknowledged, or, after `ending` was aborted, when what had
   * come until then is. Rejects with BusError or StatusError.
   */
  async run(requests: AsyncIterable<Uint8Array>, ending: AbortSignal): Promise<void> {
    const iterator = requests[Symbol.asyncIterator]();
    const end = this.#end = () => void iterator.return?.();
    ending.addEventListener("abort", end, { once: true });
    if (ending.aborted) end();
    try {
      while (await this.#takeNext(iterator, ending)) {
        // Whoever does not read what became of his messages is not asked for more.
        await this.#call.ready(ending);
      }
    } catch (error) {
      // Of an ending call everything that was taken is acknowledged, and who ends it says why.
      if (!ending.aborted) this.#failed ??= { error };
    } finally {
      ending.removeEventListener("abort", end);
    }
    while (this.#pending.length > 0) await this.#nextSettled();
    if (this.#failed !== undefined) throw this.#failed.error;
  }

  /** False when no more are taken. A function of its own, so that nothing of a request is held while the next is awaited. */
  async #takeNext(requests: AsyncIterator<Uint8Array>, ending: AbortSignal): Promise<boolean> {
    const request = await requests.next();
    if (request.done === true || this.#failed !== undefined) return false;
    await this.#take(this.#reader.read(request.value), ending);
    this.#call.release(request.value); // the bus has what it needs of it
    return true;
  }

  async #take(request: PublishStreamRequest, ending: AbortSignal): Promise<void> {
    await this.#begin(request);
    const { messages } = request;
    const firstSequence = request.firstSequence === 0 ? this.#nextSequence : request.firstSequence;
    if (firstSequence < this.#nextSequence) {
      throw new StatusError(
        Status.INVALID_ARGUMENT,
        `Cannot publish: first_sequence ${firstSequence} came after ${
          this.#nextSequence - 1
        }; sequences must grow`,
      );
    }
    if (firstSequence > Number.MAX_SAFE_INTEGER - messages.length) {
      throw new StatusError(
        Status.INVALID_ARGUMENT,
        `Cannot publish: first_sequence ${firstSequence} is too high; sequences end before 2^53 - 1`,
      );
    }
    this.#nextSequence = firstSequence + messages.length; // also of none: they may come with the next request
    for (let at = 0; at < messages.length && this.#failed === undefined; at += MAX_BATCH_MESSAGES) {
      const part = messages.length <= MAX_BATCH_MESSAGES
        ? messages
        : messages.slice(at, at + MAX_BATCH_MESSAGES);
      await this.#publish(part, firstSequence + at, ending);
    }
  }

  /** Hands a batch over; settles when there is room for it on the way to the disk. */
  async #publish(
    messages: readonly BatchMessage[],
    firstSequence: number,
    ending: AbortSignal,
  ): Promise<void> {
    let bytes = 0;
    for (const { payload, headers } of messages) bytes += pendingBytes(payload, headers);
    while (this.#pendingBytes > 0 && this.#pendingBytes + bytes > MAX_STREAM_PENDING_BYTES) {
      await this.#nextSettled();
      if (this.#failed !== undefined) return;
    }
    const batch: PendingBatch = { firstSequence, count: messages.length, outcomes: undefined };
    this.#pending.push(batch);
    this.#pendingBytes += bytes;
    const producer = this.#producer;
    // Of each call no more than one batch waits for room in the node: the rest waits at its client.
    await new Promise<void>((entered) => {
      const outcomes = this.#bus.publishBatch({ messages, producer, firstSequence, entered }, ending);
      this.#settle(batch, bytes, outcomes, entered);
    });
  }

  /** Acknowledges a batch when it has settled. A function of its own, so that its messages are not held until then. */
  #settle(
    batch: PendingBatch,
    bytes: number,
    outcomes: Promise<readonly PublishOutcome[]>,
    entered: () => void,
  ): void {
    outcomes.then(
      (outcomes) => batch.outcomes = outcomes,
      (error: unknown) => {
        this.#failed ??= { error };
        batch.outcomes = "failed";
        this.#end?.();
      },
    ).finally(() => {
      this.#pendingBytes -= bytes;
      this.#acknowledge();
      entered();
    });
  }

  async #begin({ producer }: PublishStreamRequest): Promise<void> {
    if (this.#begun) {
      if (producer === undefined) return;
      throw new StatusError(
        Status.INVALID_ARGUMENT,
        "Cannot publish: the producer must be said first, and once",
      );
    }
    this.#begun = true;
    if (producer !== undefined) this.#producer = await this.#bus.openProducer(producer);
    const { epoch, lastSequence } = this.#producer ?? { epoch: 0, lastSequence: 0 };
    const welcome = { node: this.#node, epoch: BigInt(epoch), lastSequence: BigInt(lastSequence) };
    this.#call.send(
      toBinary(PublishStreamResponseSchema, create(PublishStreamResponseSchema, { welcome })),
    );
  }

  /** Says what became of the batches that have settled, unless one before them has not, or failed. */
  #acknowledge(): void {
    const settled: SettledBatch[] = [];
    for (let batch = this.#pending[0]; batch?.outcomes !== undefined; batch = this.#pending[0]) {
      this.#pending.shift();
      const { firstSequence, count, outcomes } = batch;
      if (outcomes === "failed") this.#hasGap = true;
      else if (!this.#hasGap) settled.push({ firstSequence, count, outcomes });
    }
    if (settled.length > 0) this.#call.send(encodeOutcomes(settled));
    this.#settled?.();
  }

  async #nextSettled(): Promise<void> {
    await new Promise<void>((resolve) => this.#settled = resolve);
    this.#settled = undefined;
  }
}
