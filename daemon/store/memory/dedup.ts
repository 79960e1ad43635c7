import { type DedupLimits, MAX_PRODUCERS, type ProducerPlace, staleEpochError } from "../once.ts";
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
    for (const [id, { usedMs }] of this.#producers) {
      if (this.#producers.size <= MAX_PRODUCERS && usedMs >= oldestMs) break;
      this.#producers.delete(id);
    }
  }

  /** See `Store.openProducer`. Throws "stale_epoch". */
  open(id: string, epoch: number, nowMs: number): MemoryProducer {
    let producer = this.#producers.get(id);
    const known = producer?.epoch ?? 0;
    if (epoch !== 0 && epoch < known) throw staleEpochError(epoch, known);
    if (producer === undefined || epoch !== known) {
      producer = { epoch: epoch === 0 ? known + 1 : epoch, lastSequence: 0, runs: [], usedMs: nowMs };
    }
    producer.usedMs = Math.max(producer.usedMs, nowMs);
    this.#producers.delete(id);
    this.#producers.set(id, producer);
    return producer;
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
