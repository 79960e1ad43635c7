import {
  type DedupLimits,
  MAX_PRODUCERS,
  producerKey,
  type ProducerName,
  type ProducerPlace,
  staleEpochError,
} from "../once.ts";
import { ProducerCounts } from "../producer_counts.ts";
import type { MemoryLog } from "./log.ts";

/** Sequences of a producer that follow one another, as do those of the node that they are stored with. */
interface ProducerRun {
  readonly firstSequence: number;
  readonly firstStored: number;
  count: number;
  atMs: number;
}

/** A producer in its epoch. */
export interface MemoryProducer extends ProducerPlace {
  readonly owner: string;
  lastSequence: number;
  readonly runs: ProducerRun[];
  usedMs: number;
}

/** A key or a run, to be forgotten in its turn. */
interface Remembered {
  readonly atMs: number;
  forget(): void;
}

/** What a store without a file knows of keys and producers. */
export class MemoryDedup {
  readonly #limits: DedupLimits;
  /** The most recently used last. */
  readonly #producers = new Map<string, MemoryProducer>();
  readonly #counts = new ProducerCounts();
  /** The oldest first. Neither pushes out the other. */
  readonly #runs = new Set<Remembered>();
  readonly #keys = new Set<Remembered>();

  constructor(limits: DedupLimits) {
    this.#limits = limits;
  }

  /** Forgets what is too old, or too much. */
  expire(nowMs: number): void {
    const oldestMs = nowMs - this.#limits.ageMs;
    for (const all of [this.#runs, this.#keys]) {
      for (const remembered of all) {
        if (all.size <= this.#limits.keys && remembered.atMs >= oldestMs) break;
        remembered.forget();
        all.delete(remembered);
      }
    }
    for (const [key, { owner, usedMs }] of this.#producers) {
      if (usedMs >= oldestMs) break;
      this.#forget(key, owner);
    }
    while (this.#counts.total > MAX_PRODUCERS) this.#forgetOneOfMost();
  }

  /** See `Store.openProducer`. Throws "stale_epoch". */
  open(name: ProducerName, epoch: number, nowMs: number): MemoryProducer {
    const key = producerKey(name);
    let producer = this.#producers.get(key);
    const known = producer?.epoch ?? 0;
    if (epoch !== 0 && epoch < known) throw staleEpochError(epoch, known);
    if (producer === undefined || epoch !== known) {
      const { owner } = name;
      if (producer === undefined) this.#counts.add(owner);
      producer = { owner, epoch: epoch === 0 ? known + 1 : epoch, lastSequence: 0, runs: [], usedMs: nowMs };
    }
    producer.usedMs = Math.max(producer.usedMs, nowMs);
    this.#producers.delete(key);
    this.#producers.set(key, producer);
    return producer;
  }

  #forgetOneOfMost(): void {
    const owners = this.#counts.ownersOfMost;
    for (const [key, { owner }] of this.#producers) {
      if (owners.has(owner)) return this.#forget(key, owner);
    }
  }

  #forget(key: string, owner: string): void {
    this.#producers.delete(key);
    this.#counts.remove(owner);
  }

  /** The node's sequence that a producer's sequence is stored with; undefined where that is not known. */
  storedWith({ runs }: MemoryProducer, sequence: number): number | undefined {
    const run = runs.findLast(({ firstSequence }) => firstSequence <= sequence);
    if (run === undefined || sequence >= run.firstSequence + run.count) return undefined;
    return run.firstStored + sequence - run.firstSequence;
  }

  /** A message of a producer is stored. */
  store(producer: MemoryProducer, sequence: number, stored: number, atMs: number): void {
    const { runs } = producer;
    const last = runs.at(-1);
    producer.lastSequence = sequence;
    if (
      last !== undefined && last.firstSequence + last.count === sequence &&
      last.firstStored + last.count === stored
    ) {
      last.count++;
      last.atMs = atMs;
      return;
    }
    const run = {
      firstSequence: sequence,
      firstStored: stored,
      count: 1,
      atMs,
      forget: () => void runs.shift(),
    };
    runs.push(run);
    this.#runs.add(run);
  }

  /** A message with a key is stored. */
  storeKey({ keys }: MemoryLog, key: string, stored: number, atMs: number): void {
    keys.set(key, stored);
    this.#keys.add({ atMs, forget: () => void keys.delete(key) });
  }
}
