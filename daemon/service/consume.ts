import { fromBinary } from "@bufbuild/protobuf";
import { Status, StatusError, type StreamingServerCall } from "@msgbus/grpc/server";
import {
  ConsumePosition,
  type ConsumeRequest,
  ConsumeRequestSchema,
  type ConsumeStart,
} from "@msgbus/proto/stream";
import type { BusAccess } from "../bus/bus_access.ts";
import type { ConsumedPage, Consumer } from "../bus/consumer.ts";
import type { Message } from "../bus/message.ts";
import type { ConsumeFrom } from "../bus/requests.ts";
import { ConsumeCredit } from "./consume_credit.ts";
import { ConsumeResponseEncoder } from "./consume_response.ts";
import { CONSUME_PAGE_BYTES, CONSUME_PAGE_MESSAGES } from "./limits.ts";
import { nodeNameOf } from "./node_id.ts";

/** One call of Consume: a consumer of the bus to answers, as far as the client's credit reaches. */
export class ConsumeCall {
  readonly #bus: BusAccess;
  readonly #call: StreamingServerCall;
  readonly #encoder = new ConsumeResponseEncoder();
  readonly #credit = new ConsumeCredit();

  constructor(bus: BusAccess, call: StreamingServerCall) {
    this.#bus = bus;
    this.#call = call;
  }

  /**
   * Settles after `ending` was aborted, or when the client has ended its requests and used up its credit. Rejects with
   * BusError or StatusError.
   */
  async run(requests: AsyncIterable<Uint8Array>, ending: AbortSignal): Promise<void> {
    const iterator = requests[Symbol.asyncIterator]();
    let end = () => {};
    const ended = new Promise<undefined>((resolve) => end = () => resolve(undefined));
    ending.addEventListener("abort", end, { once: true });
    if (ending.aborted) end();
    let consumer: Consumer | undefined;
    try {
      const first = await Promise.race([iterator.next(), ended]);
      if (first === undefined || first.done === true) return;
      const { start, credit } = decode(first.value);
      if (start === undefined) {
        throw new StatusError(Status.INVALID_ARGUMENT, "Cannot consume: the first request has no start");
      }
      if (credit !== undefined) this.#credit.add(credit.messages, credit.bytes);
      else this.#credit.unbound();
      const from = fromOf(start);
      consumer = await this.#bus.consume({
        patterns: start.patterns,
        origins: start.origins.map((origin) => nodeNameOf(origin) ?? NO_NODE),
        from,
        skipDeleted: start.skipDeleted,
      });
      const taken = this.#take(iterator);
      await Promise.race([this.#deliver(consumer, from, ending), taken.then(() => ended), ended]);
    } finally {
      ending.removeEventListener("abort", end);
      this.#credit.close();
      consumer?.close();
    }
  }

  /** What the client says later, until it has said all. */
  async #take(iterator: AsyncIterator<Uint8Array>): Promise<void> {
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      const { start, credit } = decode(next.value);
      if (start !== undefined) {
        throw new StatusError(Status.INVALID_ARGUMENT, "Cannot consume: start must be said first, and once");
      }
      if (credit !== undefined) this.#credit.add(credit.messages, credit.bytes);
    }
    this.#credit.finish();
  }

  async #deliver(consumer: Consumer, from: ConsumeFrom, ending: AbortSignal): Promise<void> {
    /** Whether the client knows that it has caught up. */
    let told = !consumer.behind;
    /** The place that it was told last. */
    let place = -1;
    // Who begins behind the newest message learns where that was, before anything else can happen to the call.
    if (told || from.kind === "newest") {
      place = consumer.sequence;
      this.#call.send(this.#encoder.encodePlace(this.#bus.cursorAt(place), told));
    }
    // One page is sent while the store reads the one after it.
    let ahead = this.#read(consumer, ending);
    // Where the call ends first, nobody asks for it.
    ahead.catch(() => {});
    for (let read = await ahead; read !== undefined; read = await ahead) {
      const { page, sequence } = read;
      const { messages, caughtUp, progress } = page;
      for (const { payload, headers } of messages) this.#credit.use(payload.length + headers.length);
      ahead = this.#read(consumer, ending);
      ahead.catch(() => {});
      const isNews = (caughtUp && !told) || (progress && sequence > place);
      if (messages.length === 0 && !isNews) continue;
      told = caughtUp;
      place = sequence;
      if (messages.length > 0) await this.#send(messages, caughtUp, ending);
      else this.#call.send(this.#encoder.encodePlace(this.#bus.cursorAt(sequence), caughtUp));
    }
  }

  /** The next page, and the sequence up to which everything was looked at; undefined when there is no credit to come. */
  async #read(
    consumer: Consumer,
    ending: AbortSignal,
  ): Promise<{ readonly page: ConsumedPage; readonly sequence: number } | undefined> {
    const credit = await this.#credit.some();
    if (credit === undefined) return undefined;
    const { messages, bytes } = credit;
    await this.#call.ready(ending);
    const limits = {
      messages: Math.min(messages, CONSUME_PAGE_MESSAGES),
      bytes: Math.min(bytes, CONSUME_PAGE_BYTES),
    };
    const page = consumer.behind
      ? await this.#call.inTurn(() => consumer.next(limits, ending), ending)
      : await consumer.next(limits, ending);
    return { page, sequence: consumer.sequence };
  }

  async #send(messages: readonly Message[], caughtUp: boolean, ending: AbortSignal): Promise<void> {
    const cursorBehind = ({ sequence }: Message) => this.#bus.cursorAt(sequence);
    let goesOn = true;
    for (const answer of this.#encoder.encode(messages, cursorBehind, caughtUp)) {
      if (!goesOn) await this.#call.ready(ending);
      goesOn = this.#call.send(answer);
    }
  }
}

const NO_NODE = { tenantId: "", blName: "", deviceId: "" };

function decode(bytes: Uint8Array): ConsumeRequest {
  try {
    return fromBinary(ConsumeRequestSchema, bytes);
  } catch (error) {
    throw new StatusError(Status.INVALID_ARGUMENT, "Cannot read the request: it is no ConsumeRequest", {
      cause: error,
    });
  }
}

function fromOf({ from }: ConsumeStart): ConsumeFrom {
  switch (from.case) {
    case undefined:
      return { kind: "oldest" };
    case "position":
      return { kind: positionOf(from.value) };
    case "headId":
      return { kind: "head", headId: toNumber(from.value) };
    case "timeMs":
      return { kind: "time", ms: toNumber(from.value) };
    case "cursor":
      return { kind: "cursor", cursor: from.value };
  }
}

function positionOf(position: ConsumePosition): "oldest" | "newest" {
  switch (position) {
    case ConsumePosition.NEWEST:
      return "newest";
    case ConsumePosition.UNSPECIFIED:
    case ConsumePosition.OLDEST:
      return "oldest";
    default: // an open enum: another number may come
      throw new StatusError(
        Status.INVALID_ARGUMENT,
        "Cannot consume: start.position is neither OLDEST nor NEWEST",
      );
  }
}

/** A number of the wire; one beyond the safe integers lies beyond everything all the same. */
function toNumber(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
}
