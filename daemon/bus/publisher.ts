import type { Appended, Duplicate, NodeName, OnceOutcome, OnceRefusal, Store } from "../store/store.ts";
import type { Admission } from "./admission.ts";
import { BusError, toBusError } from "./error.ts";
import type { Log } from "./log.ts";
import type { Logs } from "./logs.ts";
import { Message } from "./message.ts";
import { onceRefusal } from "./once_refusal.ts";
import { pendingBytes, PendingPublish } from "./pending_publish.ts";

/** What the store says of a message: where it was appended, or why it was not. */
type Answer = (Appended & { readonly kind?: never }) | Duplicate | OnceRefusal;

const NO_BYTES = new Uint8Array();

/** Takes accepted messages to the store and back: what one turn of the event loop publishes is one append. */
export class Publisher {
  readonly #store: Store;
  readonly #logs: Logs;
  readonly #admission: Admission;
  #batch: PendingPublish[] = [];

  constructor(store: Store, logs: Logs, admission: Admission) {
    this.#store = store;
    this.#logs = logs;
    this.#admission = admission;
  }

  /**
   * Settles when the message is durable and subscribers have been woken; with the message that was stored with the key
   * before, where there is one.
   */
  publish(
    topic: string,
    origin: NodeName,
    id: string,
    createdAtMs: number,
    payload: Uint8Array,
    headers: Uint8Array,
    key?: string,
  ): Promise<Message> {
    this.#admission.enter(pendingBytes(payload, headers));
    return new Promise((resolve, reject) => {
      if (this.#batch.length === 0) queueMicrotask(() => this.flush());
      this.#batch.push(
        new PendingPublish(topic, origin, id, createdAtMs, payload, headers, key, resolve, reject),
      );
    });
  }

  /** Calls the store with what is waiting. To be called before another write that must come after it. */
  flush(): void {
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    // Straight from the store's answer, as batches are: answers are taken in the order in which the store gives them.
    const failed = (error: unknown) => this.#failed(batch, error);
    if (batch.every(({ key }) => key === undefined)) {
      this.#store.append(batch).then((answers) => this.#committed(batch, answers), failed);
    } else {
      this.#store.appendOnce(batch).then((outcomes) => this.#committed(batch, answersOf(outcomes)), failed);
    }
  }

  /** Heads first, then subscribers, then publishers: whoever hears of a message finds it. */
  #committed(batch: readonly PendingPublish[], answers: readonly Answer[]): void {
    const messages: (Message | BusError)[] = [];
    const touched = new Set<Log>();
    let log: Log | undefined;
    for (let i = 0; i < batch.length; i++) {
      const pending = batch[i];
      const answer = answers[i];
      if (pending === undefined || answer === undefined) break;
      if (answer.kind !== undefined) {
        messages.push(
          answer.kind === "duplicate"
            ? storedBefore(pending, answer)
            : onceRefusal(answer.reason, pending, 0),
        );
        continue;
      }
      const { topic, origin, id, createdAtMs, payload, headers } = pending;
      if (log === undefined || log.topic !== topic) { // the origin is this node for all of them
        log = this.#logs.getOrAdd(topic, origin);
        touched.add(log);
      }
      const { headId, sequence } = answer;
      const message = new Message(topic, origin, headId, sequence, id, createdAtMs, payload, headers, false);
      log.commit(message);
      messages.push(message);
    }
    for (const log of touched) log.wake();
    this.#settle(batch, (pending, at) => {
      const message = messages[at];
      if (message instanceof BusError) pending.reject(message);
      else if (message !== undefined) pending.resolve(message);
      else pending.reject(new BusError("internal", "Cannot publish: the store lost the message"));
    });
  }

  #failed(batch: readonly PendingPublish[], error: unknown): void {
    this.#settle(batch, (pending) => pending.reject(toBusError(`publish to "${pending.topic}"`, error)));
  }

  #settle(batch: readonly PendingPublish[], settle: (pending: PendingPublish, at: number) => void): void {
    batch.forEach((pending, at) => {
      settle(pending, at);
      this.#admission.exit(pendingBytes(pending.payload, pending.headers));
    });
  }
}

/** An answer for each message of a batch. */
function answersOf(outcomes: readonly OnceOutcome[]): Answer[] {
  return outcomes.flatMap((outcome): Answer[] => {
    if (outcome.kind !== "appended") return [outcome];
    const { headId, sequence, count } = outcome;
    return Array.from({ length: count }, (_, at) => ({ headId: headId + at, sequence: sequence + at }));
  });
}

/** The message that was stored first. Payload and headers are the same unless it was deleted. */
function storedBefore({ topic, origin, payload, headers }: PendingPublish, first: Duplicate): Message {
  const { headId, sequence, id, createdAtMs, deleted } = first;
  const content = deleted ? { payload: NO_BYTES, headers: NO_BYTES } : { payload, headers };
  return new Message(
    topic,
    origin,
    headId,
    sequence,
    id,
    createdAtMs,
    content.payload,
    content.headers,
    deleted,
  );
}
