import type { Appended, NewMessage, NodeName, Store } from "../store/store.ts";
import type { Admission } from "./admission.ts";
import { type BusError, toBusError } from "./error.ts";
import type { Log } from "./log.ts";
import type { Logs } from "./logs.ts";
import { Message } from "./message.ts";
import { checkName, checkNotReserved } from "./names.ts";
import { pendingBytes } from "./pending_publish.ts";
import type {
  BatchMessage,
  PublishBatchRequest,
  PublishedRun,
  PublishOutcome,
  PublishRefusal,
} from "./requests.ts";
import type { Uuid, UuidGenerator } from "./uuid.ts";

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** What publishing batches needs of its bus. */
export interface BatchPublisherOptions {
  readonly store: Store;
  readonly node: NodeName;
  readonly logs: Logs;
  readonly admission: Admission;
  readonly uuids: UuidGenerator;
  /** Whole milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Hands what was published one by one to the store. */
  readonly flush: () => void;
}

/** An accepted message of a batch. The store takes it as it is. */
class BatchEntry implements NewMessage {
  readonly topic: string;
  readonly origin: NodeName;
  readonly payload: Uint8Array;
  readonly headers: Uint8Array;
  readonly createdAtMs: number;
  readonly follows: boolean;
  readonly #first: Uuid;
  readonly #place: number;

  constructor(message: BatchMessage, origin: NodeName, createdAtMs: number, first: Uuid, place: number) {
    this.topic = message.topic;
    this.origin = origin;
    this.payload = message.payload;
    this.headers = message.headers;
    this.createdAtMs = createdAtMs;
    this.follows = place > 0;
    this.#first = first;
    this.#place = place;
  }

  get id(): string {
    return this.#first.plus(this.#place).text;
  }
}

/** Takes batches of messages to the store and back: one call, one promise and one answer per batch. */
export class BatchPublisher {
  readonly #options: BatchPublisherOptions;

  constructor(options: BatchPublisherOptions) {
    this.#options = options;
  }

  /** As Bus.publishBatch says. */
  async publish(request: PublishBatchRequest, signal: AbortSignal | undefined): Promise<PublishOutcome[]> {
    const { admission } = this.#options;
    admission.checkOpen("publish");
    const { messages } = request;
    if (messages.length === 0) return [];
    let bytes = 0;
    for (const { payload, headers } of messages) bytes += pendingBytes(payload, headers);
    await admission.enterInTurn("publish", bytes, signal);
    try {
      return await this.#append(request);
    } finally {
      admission.exit(bytes);
    }
  }

  async #append({ messages, refuse }: PublishBatchRequest): Promise<PublishOutcome[]> {
    const { store, node, uuids, now, flush } = this.#options;
    const refused: PublishRefusal[] = [];
    const createdAtMs = now();
    const first = uuids.take(createdAtMs, messages.length);
    const entries: BatchEntry[] = [];
    /** The place in the batch of each entry; absent while none was refused. */
    let places: number[] | undefined;
    const topics = new TopicCheck(this.#options.logs, node, refuse);
    for (let at = 0; at < messages.length; at++) {
      const message = messages[at];
      if (message === undefined) break;
      const error = topics.refusal(message.topic) ?? this.#tooLarge(message);
      if (error === undefined) {
        entries.push(new BatchEntry(message, node, createdAtMs, first, entries.length));
        places?.push(at);
      } else {
        places ??= entries.map((_, place) => place);
        refused.push({ kind: "refused", at, count: 1, error });
      }
    }
    if (entries.length === 0) return refused;
    flush(); // calls reach the store in the order in which they were made
    let outcomes: PublishOutcome[];
    try {
      outcomes = this.#committed(entries, await store.append(entries), first, places);
    } catch (error) {
      outcomes = refusals(entries.length, places, toBusError("publish", error));
    }
    return refused.length === 0 ? outcomes : [...outcomes, ...refused].sort((a, b) => a.at - b.at);
  }

  /** Heads first, then subscribers: whoever hears of a message finds it. */
  #committed(
    entries: readonly BatchEntry[],
    appended: readonly Appended[],
    first: Uuid,
    places: readonly number[] | undefined,
  ): PublishedRun[] {
    const { logs, node } = this.#options;
    const runs: PublishedRun[] = [];
    const touched = new Set<Log>();
    let log: Log | undefined;
    let run: Writable<PublishedRun> | undefined;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i];
      const place = appended[i];
      if (entry === undefined || place === undefined) break;
      const at = places === undefined ? i : places[i] ?? i;
      const { topic, createdAtMs } = entry;
      if (log === undefined || log.topic !== topic) {
        log = logs.getOrAdd(topic, node);
        touched.add(log);
        run = undefined;
      }
      const { headId, sequence } = place;
      if (log.live) {
        const { payload, headers } = entry;
        log.commit(new Message(topic, node, headId, sequence, entry, createdAtMs, payload, headers, false));
      } else log.advance(headId, sequence);
      if (run !== undefined && run.at + run.count === at && run.headId + run.count === headId) run.count++;
      else runs.push(run = { kind: "published", at, count: 1, headId, uuid: first.plus(i), createdAtMs });
    }
    for (const log of touched) log.wake();
    return runs;
  }

  #tooLarge({ payload, headers }: BatchMessage): BusError | undefined {
    try {
      this.#options.admission.checkMessageSize("publish", payload, headers);
      return undefined;
    } catch (error) {
      return toBusError("publish", error);
    }
  }
}

/** One error for `count` accepted messages of a batch, which stand at `places`, or one behind the other from its start. */
function refusals(count: number, places: readonly number[] | undefined, error: BusError): PublishRefusal[] {
  if (places === undefined) return [{ kind: "refused", at: 0, count, error }];
  return places.map((at) => ({ kind: "refused", at, count: 1, error }));
}

/** Whether the messages of a batch may be published, asked anew when the topic changes. */
class TopicCheck {
  readonly #logs: Logs;
  readonly #node: NodeName;
  readonly #refuse: ((topic: string) => BusError | undefined) | undefined;
  #topic: string | undefined;
  #refusal: BusError | undefined;

  constructor(logs: Logs, node: NodeName, refuse: ((topic: string) => BusError | undefined) | undefined) {
    this.#logs = logs;
    this.#node = node;
    this.#refuse = refuse;
  }

  refusal(topic: string): BusError | undefined {
    if (topic === this.#topic) return this.#refusal;
    this.#topic = topic;
    return this.#refusal = this.#check(topic);
  }

  #check(topic: string): BusError | undefined {
    try {
      const refusal = this.#refuse?.(topic);
      if (refusal !== undefined) return refusal;
      // A topic that has messages was checked when it got its first one.
      if (!((this.#logs.get(topic, this.#node)?.head ?? 0) > 0)) checkName(topic, "topic");
      checkNotReserved("publish to", topic);
      return undefined;
    } catch (error) {
      return toBusError(`publish to "${topic}"`, error);
    }
  }
}
