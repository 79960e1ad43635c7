import {
  type AppendedRun,
  type Duplicate,
  type NodeName,
  type OnceMessage,
  type OnceOutcome,
  type Store,
  StoreError,
} from "../store/store.ts";
import type { Admission } from "./admission.ts";
import { BusError, toBusError } from "./error.ts";
import type { Log } from "./log.ts";
import type { Logs } from "./logs.ts";
import { Message } from "./message.ts";
import { checkKey, checkName, checkNotReserved } from "./names.ts";
import { onceRefusal } from "./once_refusal.ts";
import { pendingBytes } from "./pending_publish.ts";
import type { BatchMessage, PublishBatchRequest, PublishedRun, PublishOutcome } from "./requests.ts";
import { Uuid, type UuidGenerator } from "./uuid.ts";

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
class BatchEntry implements OnceMessage {
  readonly topic: string;
  readonly origin: NodeName;
  readonly payload: Uint8Array;
  readonly headers: Uint8Array;
  readonly createdAtMs: number;
  readonly follows: boolean;
  readonly key: string | undefined;
  readonly #first: Uuid;
  readonly #place: number;

  /** Its id is `first` plus `place`; `follows` as in NewMessage. */
  constructor(
    message: BatchMessage,
    origin: NodeName,
    createdAtMs: number,
    first: Uuid,
    place: number,
    follows: boolean,
  ) {
    this.topic = message.topic;
    this.origin = origin;
    this.payload = message.payload;
    this.headers = message.headers;
    this.createdAtMs = createdAtMs;
    this.follows = follows;
    this.key = message.key;
    this.#first = first;
    this.#place = place;
  }

  get uuid(): Uuid {
    return this.#first.plus(this.#place);
  }

  get id(): string {
    return this.uuid.text;
  }
}

/** Accepted messages that follow one another in the batch: their sequences do, too. */
interface Segment {
  /** The place of the first in the batch. */
  readonly at: number;
  readonly entries: BatchEntry[];
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
    // Without a wait where there is room: what is published in this turn keeps its order.
    if (!admission.tryEnter(bytes)) await admission.enterInTurn("publish", bytes, signal);
    request.entered?.();
    try {
      return await this.#append(request);
    } finally {
      admission.exit(bytes);
    }
  }

  async #append(request: PublishBatchRequest): Promise<PublishOutcome[]> {
    const { messages, refuse } = request;
    const { node, uuids, now, flush } = this.#options;
    const outcomes: PublishOutcome[] = [];
    const createdAtMs = now();
    const first = uuids.take(createdAtMs, messages.length);
    const segments: Segment[] = [];
    let segment: Segment | undefined;
    const topics = new TopicCheck(this.#options.logs, node, refuse);
    for (let at = 0; at < messages.length; at++) {
      const message = messages[at];
      if (message === undefined) break;
      const error = topics.refusal(message.topic) ?? this.#unfit(message);
      if (error === undefined) {
        if (segment === undefined) segments.push(segment = { at, entries: [] });
        segment.entries.push(new BatchEntry(message, node, createdAtMs, first, at, at > segment.at));
      } else {
        segment = undefined;
        outcomes.push({ kind: "refused", at, count: 1, error });
      }
    }
    if (segments.length === 0) return outcomes;
    flush(); // calls reach the store in the order in which they were made
    // All of them, also where one fails: the call's room is not free, and the bus not closed, before that.
    const settled = await Promise.allSettled(segments.map((segment) => this.#store(segment, request)));
    const stored = settled.map((part) => {
      if (part.status === "rejected") throw part.reason;
      return part.value;
    });
    if (outcomes.length === 0 && stored.length === 1) return stored[0] ?? [];
    return [...outcomes, ...stored.flat()].sort((a, b) => a.at - b.at);
  }

  async #store(
    segment: Segment,
    { producer, firstSequence = 0 }: PublishBatchRequest,
  ): Promise<PublishOutcome[]> {
    const { at, entries } = segment;
    try {
      const as = producer && { ...producer, firstSequence: firstSequence + at };
      return this.#committed(segment, await this.#options.store.appendOnce(entries, as), firstSequence);
    } catch (error) {
      const reason = toBusError("publish", error);
      if (error instanceof StoreError && error.code === "stale_epoch") throw reason;
      return [{ kind: "refused", at, count: entries.length, error: reason }];
    }
  }

  /** Heads first, then subscribers: whoever hears of a message finds it. */
  #committed(
    { at: start, entries }: Segment,
    outcomes: readonly OnceOutcome[],
    firstSequence: number,
  ): PublishOutcome[] {
    const answers = new Answers();
    const touched = new Set<Log>();
    for (const outcome of outcomes) {
      const entry = entries[outcome.at];
      if (entry === undefined) break;
      const at = start + outcome.at;
      switch (outcome.kind) {
        case "appended":
          touched.add(this.#commit(entries, outcome));
          answers.appended(at, outcome, entry);
          break;
        case "duplicate":
          answers.duplicate(at, outcome, entry.topic);
          break;
        case "refused":
          answers.refused(at, onceRefusal(outcome.reason, entry, firstSequence + at));
      }
    }
    for (const log of touched) log.wake();
    return answers.list;
  }

  #commit(entries: readonly BatchEntry[], { at, count, headId, sequence }: AppendedRun): Log {
    const { logs, node } = this.#options;
    const log = logs.getOrAdd(entries[at]?.topic ?? "", node);
    if (!log.live) {
      log.advance(headId + count - 1, sequence + count - 1);
      return log;
    }
    for (let i = 0; i < count; i++) {
      const entry = entries[at + i];
      if (entry === undefined) break;
      const { topic, createdAtMs, payload, headers } = entry;
      log.commit(
        new Message(topic, node, headId + i, sequence + i, entry, createdAtMs, payload, headers, false),
      );
    }
    return log;
  }

  #unfit({ payload, headers, key }: BatchMessage): BusError | undefined {
    try {
      if (key !== undefined) checkKey(key);
      this.#options.admission.checkMessageSize("publish", payload, headers);
      return undefined;
    } catch (error) {
      return toBusError("publish", error);
    }
  }
}

/** Gathers what became of messages; those that follow one another, with ids that do, become runs. */
class Answers {
  readonly list: PublishOutcome[] = [];
  #run: Writable<PublishedRun> | undefined;
  #topic = "";

  appended(at: number, { count, headId }: AppendedRun, { uuid, createdAtMs }: BatchEntry): void {
    this.#run = { kind: "published", at, count, headId, uuid, createdAtMs, duplicate: false, deleted: false };
    this.list.push(this.#run);
  }

  duplicate(at: number, { headId, id, createdAtMs, deleted }: Duplicate, topic: string): void {
    const run = this.#run;
    if (
      run?.duplicate === true && this.#topic === topic && run.headId + run.count === headId &&
      run.createdAtMs === createdAtMs && run.deleted === deleted && run.uuid.plus(run.count).text === id
    ) {
      run.count++;
      return;
    }
    const uuid = Uuid.parse(id);
    if (uuid === undefined) {
      return this.refused(at, new BusError("internal", `Cannot publish: ${id} is stored, which is no UUID`));
    }
    this.#topic = topic;
    this.#run = { kind: "published", at, count: 1, headId, uuid, createdAtMs, duplicate: true, deleted };
    this.list.push(this.#run);
  }

  refused(at: number, error: BusError): void {
    this.#run = undefined;
    this.list.push({ kind: "refused", at, count: 1, error });
  }
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
