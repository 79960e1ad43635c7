import { type LogHead, LogMap, type LogName, type NodeName, type Store } from "../store/store.ts";
import { Arrivals } from "./arrivals.ts";
import type { BusLimits } from "./limits.ts";
import { Log } from "./log.ts";
import { isSameNode } from "./names.ts";
import { RecentBudget } from "./recent_messages.ts";
import { Subscription } from "./subscription.ts";

/** Every log that has messages or subscribers. */
export class Logs {
  readonly #store: Store;
  readonly #limits: BusLimits;
  readonly #budget: RecentBudget;
  readonly #logs = new LogMap<Log>();
  readonly #watchers = new Set<(log: Log) => void>();
  /** The messages of all logs in their order. */
  readonly arrivals: Arrivals;
  #version = 0;

  private constructor(store: Store, limits: BusLimits) {
    this.#store = store;
    this.#limits = limits;
    this.#budget = new RecentBudget(limits);
    this.arrivals = new Arrivals(this.#budget, limits);
  }

  /** All logs of the store with their heads. Rejects with StoreError. */
  static async load(store: Store, node: NodeName, limits: BusLimits): Promise<Logs> {
    const logs = new Logs(store, limits);
    for (const head of await store.heads()) {
      // One object for the local node: that is how its logs are told from others at once.
      logs.#add(isSameNode(head.origin, node) ? { ...head, origin: node } : head);
    }
    return logs;
  }

  get(topic: string, origin: NodeName): Log | undefined {
    return this.#logs.get(topic, origin);
  }

  getOrAdd(topic: string, origin: NodeName): Log {
    return this.#logs.get(topic, origin) ??
      this.#add({ topic, origin, headId: 0, sequence: 0, incarnation: "" });
  }

  /** Those without messages too. */
  all(): IterableIterator<Log> {
    return this.#logs.values();
  }

  /** The sequence of the newest committed message over all logs; 0 when there is none. */
  get sequence(): number {
    return this.arrivals.sequence;
  }

  /** Grows whenever a log comes into being. */
  get version(): number {
    return this.#version;
  }

  /** Every log, also one without messages. */
  names(): Iterable<LogName> {
    return this.#logs.values();
  }

  /** Calls back whenever messages of a log were committed, until the returned function is called. */
  watch(changed: (log: Log) => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** Every log with at least one message. */
  heads(): LogHead[] {
    const heads: LogHead[] = [];
    for (const { topic, origin, head, sequence, incarnation } of this.#logs.values()) {
      if (head > 0) heads.push({ topic, origin, headId: head, sequence, incarnation });
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
    this.arrivals.disconnect();
  }

  #add(head: LogHead): Log {
    const changed = (log: Log) => this.#changed(log);
    const log = new Log(head, this.#store, this.#budget, this.#limits, this.arrivals, changed);
    this.#logs.set(head.topic, head.origin, log);
    this.arrivals.advance(head.sequence);
    this.#version++;
    return log;
  }

  #changed(log: Log): void {
    for (const changed of this.#watchers) changed(log);
  }
}
