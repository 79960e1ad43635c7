import {
  type AppendedRun,
  type Duplicate,
  type NodeName,
  type OnceOutcome,
  type Store,
  StoreError,
} from "../store/store.ts";
import type { Admission } from "./admission.ts";
import { BatchEntry, BatchPart } from "./batch_part.ts";
import { BusError, toBusError } from "./error.ts";
import type { Log } from "./log.ts";
import type { Logs } from "./logs.ts";
import { Message } from "./message.ts";
import { checkKey, checkName, checkNotReserved } from "./names.ts";
import { onceRefusal } from "./once_refusal.ts";
import { pendingBytes } from "./pending_publish.ts";
import type { BatchMessage, PublishBatchRequest, PublishedRun, PublishOutcome } from "./requests.ts";
import { Slab } from "./slab.ts";
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

/** Takes batches of messages to the store and back: one call, one promise and one answer per batch. */
export class BatchPublisher {
  readonly #options: BatchPublisherOptions;
  readonly #slab = new Slab();

  constructor(options: BatchPublisherOptions) {
    this.#options = options;
  }

  /** As Bus.publishBatch says. No async function: what that is called with stays in memory until it ends. */
  publish(request: PublishBatchRequest, signal: AbortSignal | undefined): Promise<PublishOutcome[]> {
    const { admission } = this.#options;
    try {
      admission.checkOpen("publish");
    } catch (error) {
      return Promise.reject(error);
    }
    const { messages } = request;
    if (messages.length === 0) return Promise.resolve([]);
    let bytes = 0;
    for (const { payload, headers } of messages) bytes += pendingBytes(payload, headers);
    // Without a wait where there is room: what is published in this turn keeps its order.
    if (admission.tryEnter(bytes)) return this.#enter(request, bytes);
    return admission.enterInTurn("publish", bytes, signal).then(() => this.#enter(request, bytes));
  }

  #enter(request: PublishBatchRequest, bytes: number): Promise<PublishOutcome[]> {
    let outcomes: Promise<PublishOutcome[]>;
    try {
      outcomes = this.#append(request);
    } catch (error) {
      outcomes = Promise.reject(error);
    }
    const settled = outcomes.finally(() => this.#options.admission.exit(bytes));
    request.entered?.();
    return settled;
  }

  /** Everything is with the store when it returns. */
  #append(
    { messages, refuse, producer, firstSequence = 0 }: PublishBatchRequest,
  ): Promise<PublishOutcome[]> {
    const { node, logs, uuids, now, flush } = this.#options;
    const refusals: PublishOutcome[] = [];
    const createdAtMs = now();
    const first = uuids.take(createdAtMs, messages.length);
    const parts: { readonly part: BatchPart; readonly entries: BatchEntry[] }[] = [];
    let last: (typeof parts)[number] | undefined;
    const topics = new TopicCheck(logs, node, refuse);
    for (let at = 0; at < messages.length; at++) {
      const message = messages[at];
      if (message === undefined) break;
      const error = topics.refusal(message.topic) ?? this.#unfit(message);
      if (error === undefined) {
        if (last === undefined) {
          parts.push(last = { part: new BatchPart(at, first, createdAtMs), entries: [] });
        }
        const { followed } = topics;
        const taken = followed ? this.#copied(message) : message;
        const entry = new BatchEntry(taken, node, createdAtMs, first, at, last.entries.length > 0);
        last.entries.push(entry);
        last.part.add(entry, followed);
      } else {
        last = undefined;
        refusals.push({ kind: "refused", at, count: 1, error });
      }
    }
    if (parts.length === 0) return Promise.resolve(refusals);
    flush(); // calls reach the store in the order in which they were made
    const stored = parts.map(({ part, entries }) => {
      const as = producer && { ...producer, firstSequence: firstSequence + part.at };
      return this.#stored(part, this.#options.store.appendOnce(entries, as), firstSequence);
    });
    const [only] = stored;
    return stored.length === 1 && refusals.length === 0 && only !== undefined
      ? only
      : allOutcomes(refusals, stored);
  }

  #copied(message: BatchMessage): BatchMessage {
    const { payload, headers } = message;
    return { ...message, payload: this.#slab.copy(payload), headers: this.#slab.copy(headers) };
  }

  async #stored(
    part: BatchPart,
    outcomes: Promise<readonly OnceOutcome[]>,
    firstSequence: number,
  ): Promise<PublishOutcome[]> {
    try {
      return this.#committed(part, await outcomes, firstSequence);
    } catch (error) {
      const reason = toBusError("publish", error);
      if (error instanceof StoreError && error.code === "stale_epoch") throw reason;
      return [{ kind: "refused", at: part.at, count: part.count, error: reason }];
    }
  }

  /** Heads first, then subscribers: whoever hears of a message finds it. */
  #committed(part: BatchPart, outcomes: readonly OnceOutcome[], firstSequence: number): PublishOutcome[] {
    const answers = new Answers();
    const touched = new Set<Log>();
    for (const outcome of outcomes) {
      const at = part.at + outcome.at;
      switch (outcome.kind) {
        case "appended":
          touched.add(this.#commit(part, outcome));
          answers.appended(at, outcome, part.uuid(outcome.at), part.createdAtMs);
          break;
        case "duplicate":
          answers.duplicate(at, outcome, part.topic(outcome.at));
          break;
        case "refused": {
          const message = { topic: part.topic(outcome.at), key: part.key(outcome.at) };
          answers.refused(at, onceRefusal(outcome.reason, message, firstSequence + at));
        }
      }
    }
    for (const log of touched) log.wake();
    return answers.list;
  }

  #commit(part: BatchPart, { at, count, headId, sequence }: AppendedRun): Log {
    const { logs, node } = this.#options;
    const log = logs.getOrAdd(part.topic(at), node);
    // For nobody, or for those who have come since they were handed to the store: these read them there.
    if (!log.live || part.followed(at) === undefined) {
      log.advance(headId + count - 1, sequence + count - 1);
      return log;
    }
    for (let i = 0; i < count; i++) {
      const entry = part.followed(at + i);
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

/** All of them, also where one fails: the call's room is not free, and the bus not closed, before that. */
async function allOutcomes(
  refusals: readonly PublishOutcome[],
  stored: readonly Promise<PublishOutcome[]>[],
): Promise<PublishOutcome[]> {
  const settled = await Promise.allSettled(stored);
  const outcomes = settled.flatMap((part) => {
    if (part.status === "rejected") throw part.reason;
    return part.value;
  });
  return [...refusals, ...outcomes].sort((a, b) => a.at - b.at);
}

/** Gathers what became of messages; those that follow one another, with ids that do, become runs. */
class Answers {
  readonly list: PublishOutcome[] = [];
  #run: Writable<PublishedRun> | undefined;
  #topic = "";

  appended(at: number, { count, headId }: AppendedRun, uuid: Uuid, createdAtMs: number): void {
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

/** Whether the messages of a batch may be published, and are followed, asked anew when the topic changes. */
class TopicCheck {
  readonly #logs: Logs;
  readonly #node: NodeName;
  readonly #refuse: ((topic: string) => BusError | undefined) | undefined;
  #topic: string | undefined;
  #refusal: BusError | undefined;
  #followed = true;

  constructor(logs: Logs, node: NodeName, refuse: ((topic: string) => BusError | undefined) | undefined) {
    this.#logs = logs;
    this.#node = node;
    this.#refuse = refuse;
  }

  /** Whether anybody takes messages of the topic that was asked for last as they are committed. */
  get followed(): boolean {
    return this.#followed;
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
      const log = this.#logs.get(topic, this.#node);
      this.#followed = log?.live ?? this.#logs.arrivals.consumed; // a new log has no followers of its own
      // A topic that has messages was checked when it got its first one.
      if (!((log?.head ?? 0) > 0)) checkName(topic, "topic");
      checkNotReserved("publish to", topic);
      return undefined;
    } catch (error) {
      return toBusError(`publish to "${topic}"`, error);
    }
  }
}
