import { create, toBinary } from "@bufbuild/protobuf";
import { Metadata } from "@msgbus/grpc";
import { MsgbusService, PublishRequestSchema } from "@msgbus/proto";
import type { CallOptions } from "./call_options.ts";
import { SDK_LIMITS } from "./limits.ts";
import type { Message } from "./message.ts";
import { MessageDecoder } from "./message_decoder.ts";
import { type EncodedPayload, encodePayload, type Payload } from "./payload.ts";
import { PendingPublish, tooMuchWaits } from "./pending_publish.ts";
import { contentBytes, fitsRequest } from "./publish_batch.ts";
import { PublishStream } from "./publish_stream.ts";
import { pathOf, type Rpc } from "./rpc.ts";

/** What may be said of a message to publish. */
export interface PublishOptions extends CallOptions {
  /** Its headers. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Names the message within its topic, so that it can be published again safely: by this client or another, after an
   * error or a crash. Where the daemon stored a message with this key before, it answers with that one; with another
   * payload or other headers it refuses ("FAILED_PRECONDITION"). 1 to 256 characters of printable ASCII, without spaces
   * at the ends. The daemon remembers keys for 14 days and up to 1,000,000 of them, unless it is told otherwise.
   */
  readonly idempotencyKey?: string;
}

/** A message that waits for what was published before it. */
interface Held {
  readonly pending: PendingPublish;
  readonly encoded: EncodedPayload;
}

/**
 * Publishes a message by a call of its own while there is only that one, and by a stream of batches as soon as calls
 * overlap. Either way messages are stored in the order in which they were handed over.
 */
export class Publisher {
  readonly #rpc: Rpc;
  readonly #decoder = new MessageDecoder();
  readonly #stream: PublishStream;
  /** Messages that came in this turn, or while a single one is on its way. */
  #held: Held[] = [];
  #heldBytes = 0;
  /** Whether a single one is on its way. */
  #single = false;
  /** Whether the daemon has no streams. */
  #singly = false;

  constructor(rpc: Rpc) {
    this.#rpc = rpc;
    this.#stream = new PublishStream(rpc, (pending, encoded) => {
      this.#singly = true;
      void this.#publishSingly(pending, encoded);
    });
  }

  /** Settles when the message is durable. Rejects with MsgbusError or TypeError. */
  publish(topic: string, payload: Payload, options: PublishOptions): Promise<Message> {
    return new Promise((resolve, reject) => {
      // What is thrown here rejects.
      const encoded = encodePayload(payload, options.headers);
      const deadlineMs = this.#rpc.clock.nowMs() + this.#rpc.timeoutOf(options);
      const key = checkedKey(options.idempotencyKey);
      const { signal } = options;
      this.#add(
        new PendingPublish(topic, encoded.headers, key, deadlineMs, signal, resolve, reject),
        encoded,
      );
    });
  }

  /** Ends what is on its way with MsgbusError UNAVAILABLE. Calls of their own end with the connection. */
  async close(): Promise<void> {
    await this.#stream.close();
  }

  #add(pending: PendingPublish, encoded: EncodedPayload): void {
    if (pending.settled) return;
    // The daemon refuses such a request, and with it would end the stream.
    if (this.#singly || !fitsRequest(pending.topic, encoded)) {
      return void this.#publishSingly(pending, encoded);
    }
    if (!this.#single && this.#held.length === 0 && this.#stream.inUse) {
      return this.#stream.add(pending, encoded);
    }
    if (this.#heldBytes > SDK_LIMITS.maxWaitingPublishBytes) {
      return pending.failed(tooMuchWaits(this.#heldBytes));
    }
    this.#heldBytes += contentBytes(pending.topic, encoded);
    this.#held.push({ pending, encoded: kept(encoded) });
    if (this.#held.length === 1 && !this.#single) queueMicrotask(() => this.#release());
  }

  #release(): void {
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    const [first] = held;
    if (first === undefined) return;
    if (held.length === 1 && !this.#stream.inUse) {
      this.#single = true;
      void this.#publishSingly(first.pending, first.encoded).then(() => {
        this.#single = false;
        this.#release();
      });
      return;
    }
    for (const { pending, encoded } of held) {
      try {
        if (!pending.settled) this.#stream.add(pending, encoded);
      } catch (error) {
        pending.failed(error);
      }
    }
  }

  async #publishSingly(pending: PendingPublish, { payload, headers }: EncodedPayload): Promise<void> {
    const { topic, key, deadlineMs, signal } = pending;
    const request = create(PublishRequestSchema, { topic, payload, headers });
    try {
      const answer = await this.#rpc.unaryBytes(
        pathOf(MsgbusService.method.publish),
        toBinary(PublishRequestSchema, request),
        { timeoutMs: Math.max(1, deadlineMs - this.#rpc.clock.nowMs()), ...signal && { signal } },
        key === "" ? {} : { metadata: new Metadata({ "idempotency-key": key }) },
      );
      pending.stored(this.#decoder.decode(answer));
    } catch (error) {
      pending.failed(error);
    }
  }
}

/** "" for none. Throws TypeError for one that can't be sent as it is. */
function checkedKey(key: string | undefined): string {
  if (key === undefined) return "";
  if (/^[\x21-\x7e]([\x20-\x7e]{0,254}[\x21-\x7e])?$/.test(key)) return key;
  throw new TypeError(
    `Cannot use the idempotency key ${
      JSON.stringify(key)
    }: give 1 to 256 characters of printable ASCII, without spaces ` +
      "at the ends",
  );
}

/** Whoever published the bytes may change them now. */
function kept({ payload, headers }: EncodedPayload): EncodedPayload {
  return { payload: payload.slice(), headers };
}
