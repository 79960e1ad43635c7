import { isSameContent } from "../content_comparison.ts";
import { StoreError } from "../error.ts";
import { MessageReader } from "../message_codec.ts";
import type {
  Appended,
  AppendedRun,
  AppendingProducer,
  DedupLimits,
  OnceOutcome,
  OnceRefusal,
  ProducerName,
  ProducerPlace,
} from "../store.ts";
import { ChunkWriter, type LogChunk } from "./chunk.ts";
import type { Connection } from "./connection.ts";
import { DedupNumbers } from "./dedup_numbers.ts";
import { KeyTable } from "./key_table.ts";
import type { LogTables } from "./log_tables.ts";
import type { LogTail } from "./log_tail.ts";
import type { MessageLookup } from "./message_lookup.ts";
import { MissingMessagesError } from "./missing_messages_error.ts";
import { type Producer, ProducerTables } from "./producer_tables.ts";

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Messages to append once. */
export interface OnceEntries {
  /** Of the first message. */
  readonly createdAtMs: number;
  readonly producer: AppendingProducer | undefined;
  /** The keys of messages by their places in the batch. */
  readonly keys: ReadonlyMap<number, string>;
  readonly chunks: readonly LogChunk[];
}

/** See `Store.appendOnce` and `Store.openProducer`, within a transaction of the connection. */
export class OnceAppender {
  readonly #logs: LogTables;
  readonly #runNumbers: DedupNumbers;
  readonly #keyNumbers: DedupNumbers;
  readonly #producers: ProducerTables;
  readonly #keys: KeyTable;

  constructor(connection: Connection, logs: LogTables, limits: DedupLimits) {
    this.#logs = logs;
    this.#runNumbers = new DedupNumbers(connection, limits, "producer_runs");
    this.#keyNumbers = new DedupNumbers(connection, limits, "idempotency_keys");
    this.#producers = new ProducerTables(connection, this.#runNumbers, limits);
    this.#keys = new KeyTable(connection, this.#keyNumbers);
  }

  /** A StoreError it returns was found before anything was appended. */
  openProducer(name: ProducerName, epoch: number, nowMs: number): ProducerPlace | StoreError {
    this.#expire(nowMs);
    return this.#producers.open(name, epoch, nowMs);
  }

  /** A StoreError it returns was found before anything was appended. */
  append({ createdAtMs, producer: as, keys, chunks }: OnceEntries): readonly OnceOutcome[] | StoreError {
    if (chunks.length === 0) return [];
    this.#expire(createdAtMs);
    const producer = as && this.#producers.open(as, as.epoch, createdAtMs);
    if (producer instanceof StoreError) return producer;
    const firstSequence = as?.firstSequence ?? 0;
    if (keys.size === 0 && (producer === undefined || firstSequence > producer.lastSequence)) {
      return this.#appendAll(chunks, producer, firstSequence, createdAtMs);
    }
    const tables = { logs: this.#logs, producers: this.#producers, keys: this.#keys };
    return new OneByOne(tables, producer, firstSequence, createdAtMs).append(chunks, keys);
  }

  /** After a rollback. */
  undo(): void {
    this.#runNumbers.undo();
    this.#keyNumbers.undo();
    this.#producers.undo();
  }

  #expire(nowMs: number): void {
    this.#runNumbers.expire(nowMs);
    this.#keyNumbers.expire(nowMs);
    this.#producers.expire(nowMs);
  }

  /** None of the messages is known: none of them need be looked at. */
  #appendAll(
    chunks: readonly LogChunk[],
    producer: Producer | undefined,
    firstSequence: number,
    atMs: number,
  ): OnceOutcome[] {
    const firstStored = this.#logs.nextSequence;
    const outcomes = new Outcomes();
    let at = 0;
    for (const chunk of chunks) {
      outcomes.appended(at, chunk.count, chunk.log, this.#logs.append(chunk.log, chunk));
      at += chunk.count;
    }
    if (producer !== undefined) this.#producers.store(producer, firstSequence, at, firstStored, atMs);
    return outcomes.list;
  }
}

/** Gathers outcomes; those of appended messages become runs. */
class Outcomes {
  readonly list: OnceOutcome[] = [];
  #run: Writable<AppendedRun> | undefined;
  #log: LogTail | undefined;

  /** Messages of one log were appended, the first of them at a place. */
  appended(at: number, count: number, log: LogTail, { headId, sequence }: Appended): void {
    if (this.#run !== undefined && this.#log === log) this.#run.count += count;
    else this.list.push(this.#run = { kind: "appended", at, count, headId, sequence });
    this.#log = log;
  }

  /** A message was not. */
  other(outcome: OnceOutcome): void {
    this.list.push(outcome);
    this.#run = undefined;
  }
}

/** A call whose messages may be known, so that each of them is looked at. */
class OneByOne {
  readonly #tables: {
    readonly logs: LogTables;
    readonly producers: ProducerTables;
    readonly keys: KeyTable;
  };
  readonly #producer: Producer | undefined;
  readonly #firstSequence: number;
  readonly #atMs: number;
  readonly #lookup: MessageLookup;
  readonly #outcomes = new Outcomes();
  /** New messages of `#log` that are not appended yet. */
  readonly #new = new ChunkWriter(({ count, contentBytes, messages }) => {
    if (this.#log === undefined) return;
    this.#tables.logs.append(this.#log, { count, contentBytes, messages: messages.slice() });
  });
  #log: LogTail | undefined;
  /** New messages of the producer whose sequences follow one another, as do those of the node. */
  #run = { firstSequence: 0, count: 0, firstStored: 0 };

  constructor(
    tables: { readonly logs: LogTables; readonly producers: ProducerTables; readonly keys: KeyTable },
    producer: Producer | undefined,
    firstSequence: number,
    atMs: number,
  ) {
    this.#tables = tables;
    this.#producer = producer;
    this.#firstSequence = firstSequence;
    this.#atMs = atMs;
    this.#lookup = tables.logs.lookup();
  }

  append(chunks: readonly LogChunk[], keys: ReadonlyMap<number, string>): readonly OnceOutcome[] {
    const message = new MessageReader(new Uint8Array());
    let at = 0;
    for (const { log, messages } of chunks) {
      if (log !== this.#log) this.#new.end();
      this.#log = log;
      message.reset(messages, 0, messages.length);
      for (; message.next(); at++) this.#add(message, at, log, keys.get(at));
    }
    this.#new.end();
    this.#endRun();
    return this.#outcomes.list;
  }

  #add(message: MessageReader, at: number, log: LogTail, key: string | undefined): void {
    const { logs, keys } = this.#tables;
    const sequence = this.#firstSequence + at;
    const known = this.#known(message, at, log, key, sequence);
    if (known !== undefined) {
      this.#outcomes.other(known);
      if (known.kind === "duplicate") this.#pass(sequence);
      return;
    }
    const waiting = this.#new.count;
    const place = { headId: log.head + 1 + waiting, sequence: logs.nextSequence + waiting };
    this.#new.copy(message, false);
    this.#outcomes.appended(at, 1, log, place);
    if (key !== undefined) {
      logs.makeStored(log);
      keys.store(log.number, key, place.sequence, this.#atMs);
    }
    this.#extendRun(sequence, place.sequence);
  }

  /** What is known of a message; undefined where it is new. */
  #known(
    message: MessageReader,
    at: number,
    log: LogTail,
    key: string | undefined,
    sequence: number,
  ): OnceOutcome | undefined {
    const byKey = key === undefined ? undefined : this.#tables.keys.find(log.number, key);
    if (byKey !== undefined) return this.#compared(message, at, log, byKey, "key_conflict");
    const producer = this.#producer;
    if (producer === undefined || sequence > producer.lastSequence) return undefined;
    const stored = this.#tables.producers.storedWith(producer, sequence);
    if (stored === undefined) return { kind: "refused", at, reason: "forgotten" };
    return this.#compared(message, at, log, stored, "sequence_conflict");
  }

  #compared(
    message: MessageReader,
    at: number,
    log: LogTail,
    sequence: number,
    reason: OnceRefusal["reason"],
  ): OnceOutcome {
    const { logs } = this.#tables;
    this.#new.end();
    logs.flush();
    const found = this.#lookup.find(sequence);
    if (found === undefined) throw new MissingMessagesError(sequence);
    const { id, createdAtMs, deleted } = this.#lookup.message;
    const same = logs.isOf(found.log, log) && (deleted || isSameContent(this.#lookup.message, message));
    if (!same) return { kind: "refused", at, reason };
    return { kind: "duplicate", at, headId: found.headId, sequence, id, createdAtMs, deleted };
  }

  #extendRun(sequence: number, stored: number): void {
    const run = this.#run;
    if (run.count > 0 && run.firstSequence + run.count === sequence) run.count++;
    else {
      this.#endRun();
      this.#run = { firstSequence: sequence, count: 1, firstStored: stored };
    }
  }

  #endRun(): void {
    const { firstSequence, count, firstStored } = this.#run;
    if (count === 0 || this.#producer === undefined) return;
    this.#tables.producers.store(this.#producer, firstSequence, count, firstStored, this.#atMs);
    this.#run = { firstSequence: 0, count: 0, firstStored: 0 };
  }

  /** A message of the producer was stored by another call. */
  #pass(sequence: number): void {
    if (this.#producer === undefined || sequence <= this.#producer.lastSequence) return;
    this.#endRun();
    this.#tables.producers.pass(this.#producer, sequence);
  }
}
