import type { Appended, NodeName, Store } from "../store/store.ts";
import type { Admission } from "./admission.ts";
import { BusError, toBusError } from "./error.ts";
import type { Log } from "./log.ts";
import type { Logs } from "./logs.ts";
import { Message } from "./message.ts";
import { pendingBytes, PendingPublish } from "./pending_publish.ts";

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

  /** Settles when the message is durable and subscribers have been woken. */
  publish(
    topic: string,
    origin: NodeName,
    id: string,
    createdAtMs: number,
    payload: Uint8Array,
    headers: Uint8Array,
  ): Promise<Message> {
    this.#admission.enter(pendingBytes(payload, headers));
    return new Promise((resolve, reject) => {
      if (this.#batch.length === 0) queueMicrotask(() => this.flush());
      this.#batch.push(
        new PendingPublish(topic, origin, id, createdAtMs, payload, headers, resolve, reject),
      );
    });
  }

  /** Calls the store with what is waiting. To be called before another write that must come after it. */
  flush(): void {
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    this.#store.append(batch).then(
      (appended) => this.#committed(batch, appended),
      (error: unknown) => this.#failed(batch, error),
    );
  }

  /** Heads first, then subscribers, then publishers: whoever hears of a message finds it. */
  #committed(batch: readonly PendingPublish[], appended: readonly Appended[]): void {
    const messages: Message[] = [];
    const touched = new Set<Log>();
    let log: Log | undefined;
    for (let i = 0; i < batch.length; i++) {
      const pending = batch[i];
      const place = appended[i];
      if (pending === undefined || place === undefined) break;
      const { topic, origin, id, createdAtMs, payload, headers } = pending;
      if (log === undefined || log.topic !== topic) { // the origin is this node for all of them
        log = this.#logs.getOrAdd(topic, origin);
        touched.add(log);
      }
      const { headId, sequence } = place;
      const message = new Message(topic, origin, headId, sequence, id, createdAtMs, payload, headers, false);
      log.commit(message);
      messages.push(message);
    }
    for (const log of touched) log.wake();
    this.#settle(batch, (pending, at) => {
      const message = messages[at];
      if (message !== undefined) pending.resolve(message);
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
