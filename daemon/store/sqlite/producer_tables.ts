import type { StoreError } from "../error.ts";
import {
  type DedupLimits,
  MAX_PRODUCERS,
  producerKey,
  type ProducerName,
  type ProducerPlace,
  staleEpochError,
} from "../once.ts";
import { ProducerCounts } from "../producer_counts.ts";
import type { Connection } from "./connection.ts";
import type { DedupNumbers } from "./dedup_numbers.ts";
import { EXPIRED_PRODUCERS, KNOWN_PRODUCERS, PRODUCER_USE_MS } from "./limits.ts";
import { prepareRows, type RowStatement } from "./row_statement.ts";
import { WriteStatement } from "./write_statement.ts";

/** Owners each of which is asked for its least used producer: 1 ms. */
const OWNERS_ASKED = 256;
/** Rows that are looked through at a time for a producer of one of more owners than that. */
const LOOKED_THROUGH = 256;

/** Sequences of a producer that follow one another, as do those of the node that they are stored with. */
interface ProducerRun {
  /** See DedupNumbers. */
  readonly number: number;
  readonly firstSequence: number;
  count: number;
  readonly firstStored: number;
}

/** A row of `producers`, to be forgotten. */
type Used = [number: number, owner: string, id: string, usedMs: number];

/** A producer in its epoch, in memory. */
export interface Producer extends ProducerPlace {
  /** The key of `producers`. */
  readonly number: number;
  lastSequence: number;
  /** As the table has it. */
  usedMs: number;
  lastRun: ProducerRun | undefined;
}

/** The tables `producers` and `producer_runs`. Writes happen within a transaction of the connection. */
export class ProducerTables {
  readonly #numbers: DedupNumbers;
  readonly #ageMs: number;
  readonly #useMs: number;
  readonly #find: RowStatement<[number: number, epoch: number, lastSequence: number, usedMs: number]>;
  readonly #runUpTo: RowStatement<
    [number: number, firstSequence: number, count: number, firstStored: number]
  >;
  readonly #last: RowStatement<[number: number | null, ofRuns: number | null]>;
  readonly #ofOwners: RowStatement<[owner: string, count: number]>;
  readonly #leastUsed: RowStatement<Used>;
  readonly #leastUsedOf: RowStatement<Used>;
  readonly #put: WriteStatement;
  readonly #setUsed: WriteStatement;
  readonly #setLast: WriteStatement;
  readonly #remove: WriteStatement;
  readonly #insertRun: WriteStatement;
  readonly #extendRun: WriteStatement;
  /** By `producerKey`; the one that was used last at the end. */
  readonly #known = new Map<string, Producer>();
  #loaded = false;
  readonly #counts = new ProducerCounts();
  #lastNumber = 0;
  /** No producer was used longer ago. */
  #leastUsedMs = -Infinity;

  constructor({ db }: Connection, numbers: DedupNumbers, { ageMs }: DedupLimits) {
    this.#numbers = numbers;
    this.#ageMs = ageMs;
    this.#useMs = Math.min(PRODUCER_USE_MS, ageMs / 16);
    this.#find = prepareRows(
      db,
      "SELECT producer, epoch, last_sequence, used_ms FROM producers WHERE owner = ? AND id = ?",
    );
    this.#runUpTo = prepareRows(
      db,
      `SELECT number, first_sequence, count, first_stored FROM producer_runs
         WHERE producer = ? AND first_sequence <= ? ORDER BY first_sequence DESC LIMIT 1`,
    );
    this.#last = prepareRows(
      db,
      "SELECT (SELECT max(producer) FROM producers), (SELECT max(producer) FROM producer_runs)",
    );
    this.#ofOwners = prepareRows(db, "SELECT owner, count(*) FROM producers GROUP BY owner");
    this.#leastUsed = prepareRows(
      db,
      "SELECT producer, owner, id, used_ms FROM producers ORDER BY used_ms, producer LIMIT ? OFFSET ?",
    );
    this.#leastUsedOf = prepareRows(
      db,
      "SELECT producer, owner, id, used_ms FROM producers WHERE owner = ? ORDER BY used_ms, producer LIMIT 1",
    );
    // A new epoch replaces the one before, by owner and id.
    this.#put = new WriteStatement(db, "INSERT OR REPLACE INTO producers VALUES (?, ?, ?, ?, 0, ?)");
    this.#setUsed = new WriteStatement(db, "UPDATE producers SET used_ms = ? WHERE producer = ?");
    this.#setLast = new WriteStatement(db, "UPDATE producers SET last_sequence = ? WHERE producer = ?");
    this.#remove = new WriteStatement(db, "DELETE FROM producers WHERE producer = ?");
    this.#insertRun = new WriteStatement(db, "INSERT INTO producer_runs VALUES (?, ?, ?, ?, ?, ?)");
    this.#extendRun = new WriteStatement(
      db,
      "UPDATE producer_runs SET count = ?, at_ms = ? WHERE number = ?",
    );
  }

  /** See Store.openProducer; gives the error instead of throwing it, with nothing changed. */
  open(name: ProducerName, epoch: number, nowMs: number): Producer | StoreError {
    const found = this.#known.get(producerKey(name)) ?? this.#load(name);
    const known = found?.epoch ?? 0;
    if (epoch !== 0 && epoch < known) return staleEpochError(epoch, known);
    let producer = found;
    if (producer === undefined || epoch !== known) {
      if (producer === undefined) this.#counts.add(name.owner);
      const opened = epoch === 0 ? known + 1 : epoch;
      const number = ++this.#lastNumber;
      producer = { number, epoch: opened, lastSequence: 0, usedMs: nowMs, lastRun: undefined };
      this.#put.run(number, name.owner, name.id, opened, nowMs);
    } else if (nowMs - producer.usedMs >= this.#useMs) {
      producer.usedMs = nowMs;
      this.#setUsed.run(nowMs, producer.number);
    }
    this.#remember(producerKey(name), producer);
    return producer;
  }

  /** The node's sequence that a producer's sequence is stored with; undefined where that is not known. */
  storedWith({ number }: Producer, sequence: number): number | undefined {
    const [, firstSequence = 0, count = 0, firstStored = 0] = this.#runUpTo.get(number, sequence) ?? [];
    return sequence < firstSequence + count ? firstStored + sequence - firstSequence : undefined;
  }

  /** Messages of a producer, from a sequence on, are stored, from a sequence of the node on. */
  store(producer: Producer, firstSequence: number, count: number, firstStored: number, atMs: number): void {
    const last = producer.lastRun;
    producer.lastSequence = firstSequence + count - 1;
    if (
      last !== undefined && !this.#numbers.isForgotten(last.number) &&
      last.firstSequence + last.count === firstSequence && last.firstStored + last.count === firstStored
    ) {
      last.count += count;
      this.#extendRun.run(last.count, atMs, last.number);
      return;
    }
    const number = this.#numbers.take();
    producer.lastRun = { number, firstSequence, count, firstStored };
    this.#insertRun.run(number, producer.number, firstSequence, count, firstStored, atMs);
  }

  /** A message of a producer with this sequence was stored by another call. */
  pass(producer: Producer, sequence: number): void {
    producer.lastSequence = sequence;
    this.#setLast.run(sequence, producer.number);
  }

  /** Forgets producers that were not used for long, or are too many, as far as one call may. */
  expire(nowMs: number): void {
    this.#loadCounts();
    const oldestMs = nowMs - this.#ageMs;
    let left = EXPIRED_PRODUCERS;
    if (this.#leastUsedMs < oldestMs) {
      for (const used of this.#leastUsed.all(left, 0)) {
        const [, , , usedMs] = used;
        this.#leastUsedMs = usedMs;
        if (usedMs >= oldestMs) break;
        this.#forget(used);
        left--;
      }
    }
    for (; left > 0 && this.#counts.total > MAX_PRODUCERS; left--) {
      const used = this.#leastUsedOfMost();
      if (used === undefined) return;
      this.#forget(used);
    }
  }

  /** After a rollback: the tables say where it stands. */
  undo(): void {
    this.#known.clear();
    this.#loaded = false;
  }

  /** Of the owner that has the most; of several such owners, of all of theirs. */
  #leastUsedOfMost(): Used | undefined {
    const owners = this.#counts.ownersOfMost;
    // Where so many have as many, one of the least used of all is theirs.
    if (owners.size > OWNERS_ASKED) return this.#firstUsedOf(owners);
    let least: Used | undefined;
    for (const owner of owners) {
      const used = this.#leastUsedOf.get(owner);
      if (used !== undefined && (least === undefined || used[3] < least[3])) least = used;
    }
    return least;
  }

  #firstUsedOf(owners: ReadonlySet<string>): Used | undefined {
    for (let from = 0;; from += LOOKED_THROUGH) {
      const page = this.#leastUsed.all(LOOKED_THROUGH, from);
      const found = page.find(([, owner]) => owners.has(owner));
      if (found !== undefined || page.length < LOOKED_THROUGH) return found;
    }
  }

  #forget([number, owner, id]: Used): void {
    this.#remove.run(number);
    this.#known.delete(producerKey({ owner, id }));
    this.#counts.remove(owner);
  }

  #load({ owner, id }: ProducerName): Producer | undefined {
    const row = this.#find.get(owner, id);
    if (row === undefined) return undefined;
    const [number, epoch, lastSequence, usedMs] = row;
    const run = this.#runUpTo.get(number, Number.MAX_SAFE_INTEGER);
    if (run === undefined) return { number, epoch, lastSequence, usedMs, lastRun: undefined };
    const [runNumber, firstSequence, count, firstStored] = run;
    return {
      number,
      epoch,
      lastSequence: Math.max(lastSequence, firstSequence + count - 1),
      usedMs,
      lastRun: { number: runNumber, firstSequence, count, firstStored },
    };
  }

  #remember(key: string, producer: Producer): void {
    this.#known.delete(key);
    this.#known.set(key, producer);
    if (this.#known.size <= KNOWN_PRODUCERS) return;
    for (const [first] of this.#known) return void this.#known.delete(first);
  }

  #loadCounts(): void {
    if (this.#loaded) return;
    this.#loaded = true;
    this.#counts.clear();
    for (const [owner, count] of this.#ofOwners.all()) this.#counts.add(owner, count);
    const [number, ofRuns] = this.#last.get() ?? [0, 0];
    this.#lastNumber = Math.max(number ?? 0, ofRuns ?? 0);
    this.#leastUsedMs = -Infinity;
  }
}
