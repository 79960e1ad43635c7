import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Status, StatusError, statusName, statusOf } from "@msgbus/grpc";
import {
  type PublishedRun,
  type PublishRefusal,
  PublishStreamRequestSchema,
  type PublishStreamResponse,
  PublishStreamResponseSchema,
  type PublishStreamWelcome,
  StreamService,
} from "@msgbus/proto/stream";
import { backoffMs } from "./backoff.ts";
import { MsgbusError } from "./error.ts";
import { numberFromWire } from "./head_number.ts";
import { SDK_LIMITS } from "./limits.ts";
import { Message } from "./message.ts";
import { type NodeId, nodeIdOf } from "./node_id.ts";
import type { EncodedPayload } from "./payload.ts";
import { type PendingPublish, tooMuchWaits } from "./pending_publish.ts";
import { PublishBatch, requestBytes } from "./publish_batch.ts";
import { pathOf, type Rpc } from "./rpc.ts";
import { sleep } from "./sleep.ts";
import { randomUuid } from "./uuid.ts";

/** One client is one producer, and no other process ever takes its name. */
const EPOCH = 1n;

const NO_NODE: NodeId = { tenantId: "", blName: "", deviceId: "" };

/**
 * Publishes batches of messages by one call of StreamService, in the order in which they were added. After a loss of the
 * connection it opens another call and sends again what was not acknowledged; the daemon knows by producer and sequence
 * what it has stored already.
 */
export class PublishStream {
  readonly #rpc: Rpc;
  readonly #producerId = randomUuid();
  /** Called with each message that waits, when the daemon turns out not to have the service. */
  readonly #onUnsupported: (message: PendingPublish, encoded: EncodedPayload) => void;
  readonly #over = new AbortController();
  /** Not acknowledged, in the order of their sequences. The last may still grow, unless it was sent. */
  #batches: PublishBatch[] = [];
  /** How many of them were sent by the open call, and their bytes. */
  #sent = 0;
  #sentBytes = 0;
  #waitingBytes = 0;
  #nextSequence = 1;
  #node = NO_NODE;
  /** Whether the daemon at the other end of the open call has said who it is. */
  #welcomed = false;
  /** The last sequence that a daemon has acknowledged as stored. */
  #lastStored = 0;
  #running: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #lastBusyMs = -Infinity;
  #nextDeadlineMs = Infinity;
  #cancelTimer: (() => void) | undefined;
  /** Why the last call ended; undefined while one is fine. */
  #lastError: MsgbusError | undefined;

  constructor(rpc: Rpc, onUnsupported: (message: PendingPublish, encoded: EncodedPayload) => void) {
    this.#rpc = rpc;
    this.#onUnsupported = onUnsupported;
  }

  /** Whether messages are on their way, or were a moment ago. */
  get inUse(): boolean {
    return this.#batches.length > 0 ||
      this.#rpc.clock.nowMs() - this.#lastBusyMs < SDK_LIMITS.publishStreamIdleMs;
  }

  /** Takes a message. Throws MsgbusError: RESOURCE_EXHAUSTED where too many wait already, UNAVAILABLE after `close`. */
  add(message: PendingPublish, encoded: EncodedPayload): void {
    if (this.#over.signal.aborted) throw this.#closed();
    if (this.#waitingBytes > SDK_LIMITS.maxWaitingPublishBytes) throw tooMuchWaits(this.#waitingBytes);
    let batch = this.#batches.at(-1);
    if (
      batch === undefined || this.#sent === this.#batches.length || batch.sent ||
      batch.length + requestBytes(message.topic, encoded) > SDK_LIMITS.publishBatchBytes
    ) {
      batch = new PublishBatch(this.#nextSequence);
      this.#batches.push(batch);
    }
    const before = batch.length;
    batch.add(message, encoded);
    this.#nextSequence++;
    this.#waitingBytes += batch.length - before;
    this.#expireAt(message.deadlineMs);
    this.#wake?.();
    this.#running ??= this.#run();
  }

  /** Ends it; whoever waits gets MsgbusError UNAVAILABLE. */
  async close(): Promise<void> {
    this.#over.abort();
    this.#failAll(this.#closed());
    this.#wake?.();
    await this.#running;
  }

  /** Goes on while the connection lasts or messages wait. */
  async #run(): Promise<void> {
    try {
      for (let failures = 0;;) {
        try {
          await this.#call(() => failures = 0);
        } catch (thrown) {
          if (this.#over.signal.aborted || this.#batches.length === 0) return;
          if (!this.#mayTryAgain(thrown)) return;
          this.#lastError = this.#rpc.errorOf(thrown);
          failures++;
        }
        const { backoff, random, clock } = this.#rpc;
        await sleep(clock, backoffMs(backoff, failures, random), this.#over.signal);
        if (this.#batches.length === 0) return;
      }
    } finally {
      this.#running = undefined;
      this.#stopTimer();
    }
  }

  /** One call, until it ends, which it does not by itself. */
  async #call(welcomed: () => void): Promise<never> {
    this.#sent = 0;
    this.#sentBytes = 0;
    this.#welcomed = false;
    for (const batch of this.#batches) batch.resent = batch.sent;
    const over = new AbortController();
    const end = () => over.abort();
    this.#over.signal.addEventListener("abort", end, { once: true });
    const responses = this.#rpc.bidi(
      pathOf(StreamService.method.publishStream),
      this.#requests(over.signal),
      {
        signal: over.signal,
      },
    );
    try {
      for (let batch = await responses.nextBatch(); batch !== null; batch = await responses.nextBatch()) {
        for (const bytes of batch) {
          const response = fromBinary(PublishStreamResponseSchema, bytes);
          if (response.welcome !== undefined) {
            this.#welcome(response.welcome);
            welcomed();
          }
          this.#take(response);
        }
        this.#wake?.();
      }
      throw new StatusError(Status.UNAVAILABLE, "the daemon ended the stream");
    } finally {
      this.#over.signal.removeEventListener("abort", end);
      over.abort();
      this.#wake?.();
    }
  }

  async *#requests(over: AbortSignal): AsyncGenerator<Uint8Array> {
    yield encode({ producer: { id: this.#producerId, epoch: EPOCH } });
    // Not before it is known who gets it: another daemon than before would store again what is sent again.
    while (!this.#welcomed && !over.aborted) await new Promise<void>((resolve) => this.#wake = resolve);
    if (over.aborted) return;
    yield encode({ firstSequence: BigInt(this.#batches[0]?.firstSequence ?? this.#nextSequence) });
    while (!over.aborted) {
      const batch = this.#batches[this.#sent];
      if (
        batch === undefined ||
        (this.#sentBytes > 0 && this.#sentBytes + batch.length > SDK_LIMITS.publishWindowBytes)
      ) {
        await new Promise<void>((resolve) => this.#wake = resolve);
        continue;
      }
      batch.sent = true;
      this.#sent++;
      this.#sentBytes += batch.length;
      yield batch.request;
    }
  }

  /** The daemon says who it is, and how far it knows this client. */
  #welcome({ node, lastSequence }: PublishStreamWelcome): void {
    const before = this.#node;
    this.#node = nodeIdOf(node);
    const { tenantId, blName, deviceId } = this.#node;
    const isSame = before === NO_NODE ||
      (tenantId === before.tenantId && blName === before.blName && deviceId === before.deviceId);
    if (!isSame || numberFromWire(lastSequence) < this.#lastStored) this.#giveUpSent();
    this.#lastStored = numberFromWire(lastSequence);
    this.#lastError = undefined;
    this.#welcomed = true;
  }

  /** What was sent may be stored at a daemon that is not this one, or that this one has forgotten: it is not sent again. */
  #giveUpSent(): void {
    const given = this.#batches.filter(({ sent }) => sent);
    this.#batches = this.#batches.filter(({ sent }) => !sent);
    for (const batch of given) {
      this.#waitingBytes -= batch.length;
      for (const message of batch.messages) {
        message.failed(this.#unknown("UNAVAILABLE", " (the daemon that answers now does not know of it)"));
      }
    }
  }

  /** Settles the messages that a response tells of. */
  #take({ acknowledged, published, refused }: PublishStreamResponse): void {
    for (const run of published) this.#publish(run);
    for (const refusal of refused) this.#refuse(refusal);
    const last = numberFromWire(acknowledged);
    let done = 0;
    for (const batch of this.#batches) {
      if (batch.firstSequence + batch.messages.length - 1 > last || done === this.#sent) break;
      done++;
      this.#sentBytes -= batch.length;
      this.#waitingBytes -= batch.length;
      for (const message of batch.messages) {
        if (!message.settled) message.failed(unexplained());
      }
    }
    if (done === 0) return;
    this.#batches.splice(0, done);
    this.#sent -= done;
    if (this.#batches.length > 0) return;
    this.#lastBusyMs = this.#rpc.clock.nowMs();
    this.#stopTimer();
  }

  #publish({ firstSequence, count, firstHeadId, firstUuid, createdAtMs, deleted }: PublishedRun): void {
    this.#lastStored = Math.max(this.#lastStored, numberFromWire(firstSequence) + count - 1);
    const headId = numberFromWire(firstHeadId);
    const createdMs = numberFromWire(createdAtMs);
    this.#each(numberFromWire(firstSequence), count, (batch, message, at) => {
      const { payloadFrom, payloadTo, topic, headers } = message;
      const stored = deleted
        ? new Message(
          firstUuid,
          0,
          0,
          0,
          0,
          topic,
          this.#node,
          headId + at,
          createdMs,
          true,
          {},
          firstUuid,
          at,
        )
        : new Message(
          batch.request,
          0,
          0,
          payloadFrom,
          payloadTo,
          topic,
          this.#node,
          headId + at,
          createdMs,
          false,
          headers,
          firstUuid,
          at,
        );
      message.stored(stored);
    });
  }

  #refuse({ firstSequence, count, code, message: text }: PublishRefusal): void {
    const name = statusName(statusOf(code));
    this.#each(numberFromWire(firstSequence), count, (_, message) => {
      message.failed(new MsgbusError(name === "OK" ? "UNKNOWN" : name, text));
    });
  }

  /** The messages of some sequences, as far as they were sent and wait. */
  #each(
    firstSequence: number,
    count: number,
    settle: (batch: PublishBatch, message: PendingPublish, at: number) => void,
  ): void {
    const end = firstSequence + count;
    for (const batch of this.#batches) {
      if (batch.firstSequence >= end) return;
      const from = Math.max(firstSequence, batch.firstSequence);
      const to = Math.min(end, batch.firstSequence + batch.messages.length);
      for (let sequence = from; sequence < to; sequence++) {
        const message = batch.messages[sequence - batch.firstSequence];
        if (message !== undefined && !message.settled) settle(batch, message, sequence - firstSequence);
      }
    }
  }

  /** Whether another call may bring what this one did not; otherwise nobody waits any more. */
  #mayTryAgain(thrown: unknown): boolean {
    const error = this.#rpc.errorOf(thrown);
    if (error.code === "UNIMPLEMENTED") {
      for (const [batch, message] of this.#takeAll()) {
        const { headers, payloadFrom, payloadTo } = message;
        // Another daemon may have stored it, and a call of its own would store it again.
        if (batch.resent) message.failed(this.#unknown("UNAVAILABLE", ` (${error.message})`));
        else {this.#onUnsupported(message, {
            payload: batch.request.subarray(payloadFrom, payloadTo),
            headers,
          });}
      }
      return false;
    }
    if (this.#batches.every(({ messages }) => messages.every(({ settled }) => settled))) {
      this.#takeAll();
      return false;
    }
    const seen = this.#batches.some(({ sent }) => sent);
    // Without it nothing of any message was sent.
    const patient = seen || this.#rpc.waitForReady;
    if (error.code === "UNAVAILABLE" && patient) return true;
    this.#failAll(error);
    return false;
  }

  #failAll(error: MsgbusError): void {
    for (const [, message] of this.#takeAll()) message.failed(error);
  }

  /** Forgets all messages; those that somebody waits for are returned. */
  #takeAll(): (readonly [PublishBatch, PendingPublish])[] {
    const waiting = this.#batches.flatMap((batch) =>
      batch.messages.filter(({ settled }) => !settled).map((message) => [batch, message] as const)
    );
    this.#batches = [];
    this.#sent = 0;
    this.#sentBytes = 0;
    this.#waitingBytes = 0;
    this.#stopTimer();
    return waiting;
  }

  #expireAt(deadlineMs: number): void {
    if (deadlineMs >= this.#nextDeadlineMs) return;
    this.#stopTimer();
    this.#nextDeadlineMs = deadlineMs;
    const { clock } = this.#rpc;
    this.#cancelTimer = clock.after(Math.max(0, deadlineMs - clock.nowMs()), () => this.#expire());
  }

  #expire(): void {
    this.#stopTimer();
    const now = this.#rpc.clock.nowMs();
    let next = Infinity;
    const why = this.#lastError === undefined ? "" : ` (${this.#lastError.message})`;
    for (const { messages } of this.#batches) {
      for (const message of messages) {
        if (message.settled) continue;
        if (message.deadlineMs > now) next = Math.min(next, message.deadlineMs);
        else {
          message.failed(this.#unknown("DEADLINE_EXCEEDED", why));
        }
      }
    }
    if (next < Infinity) this.#expireAt(next);
  }

  #unknown(code: "UNAVAILABLE" | "DEADLINE_EXCEEDED", why: string): MsgbusError {
    const state = code === "UNAVAILABLE" ? "was not acknowledged" : "was not acknowledged in time";
    return new MsgbusError(code, `${this.#rpc.target}: the message ${state}; it may be stored or not${why}`);
  }

  #closed(): MsgbusError {
    return new MsgbusError("UNAVAILABLE", `${this.#rpc.target}: the client was closed`);
  }

  #stopTimer(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#nextDeadlineMs = Infinity;
  }
}

function unexplained(): MsgbusError {
  return new MsgbusError(
    "INTERNAL",
    "Cannot read the daemon's answer: it does not say what became of a message",
  );
}

function encode(request: MessageInitShape<typeof PublishStreamRequestSchema>): Uint8Array {
  return toBinary(PublishStreamRequestSchema, create(PublishStreamRequestSchema, request));
}
