import { type LogHead, LogMap, type NodeName, type Store } from "../store/store.ts";
import type { BusLimits } from "./limits.ts";
import { Log } from "./log.ts";
import { RecentBudget } from "./recent_messages.ts";
import { Subscription } from "./subscription.ts";

/** Every log that has messages or subscribers. */
export class Logs {
  readonly #store: Store;
  readonly #limits: BusLimits;
  readonly #budget: RecentBudget;
  readonly #logs = new LogMap<Log>();

  private constructor(store: Store, limits: BusLimits) {
    this.#store = store;
    this.#limits = limits;
    this.#budget = new RecentBudget(limits);
  }

  /** All logs of the store with their heads. Rejects with StoreError. */
  static async load(store: Store, limits: BusLimits): Promise<Logs> {
    const logs = new Logs(store, limits);
    for (const { topic, origin, headId } of await store.heads()) logs.#add(topic, origin, headId);
    return logs;
  }

  get(topic: string, origin: NodeName): Log | undefined {
    return this.#logs.get(topic, origin);
  }

  getOrAdd(topic: string, origin: NodeName): Log {
    return this.#logs.get(topic, origin) ?? this.#add(topic, origin, 0);
  }

  /** Every log with at least one message. */
  heads(): LogHead[] {
    const heads: LogHead[] = [];
    for (const { topic, origin, head } of this.#logs.values()) {
      if (head > 0) heads.push({ topic, origin, headId: head });
    }
    return heads;
  }

  subscribe(topic: string, origin: NodeName, fromHeadId: number, pageMessages: number): Subscription {
    const log = this.getOrAdd(topic, origin);
    return new Subscription(log, fromHeadId, pageMessages, this.#limits.pageBytes, () => {
      // A log that was only waited for leaves no trace, else asking for names would cost memory for ever.
      if (log.head === 0 && !log.followed) this.#logs.delete(topic, origin);
    });
  }

  /** Ends every subscription because the bus closes. */
  disconnect(): void {
    for (const log of [...this.#logs.values()]) log.disconnect();
  }

  #add(topic: string, origin: NodeName, head: number): Log {
    const log = new Log(topic, origin, head, this.#store, this.#budget, this.#limits);
    this.#logs.set(topic, origin, log);
    return log;
  }
}
