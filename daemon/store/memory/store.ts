import { isSameContent } from "../content_comparison.ts";
import { closedError, noSuchRange } from "../error.ts";
import { isOtherIncarnation } from "../incarnation.ts";
import { LogMap } from "../log_map.ts";
import { type DedupLimits, DEFAULT_DEDUP_LIMITS } from "../once.ts";
import { MAX_OPENINGS, type Opening, openingOf } from "../opening.ts";
import { archiveName, isRange, noRangeError, noSuchLog } from "../replication.ts";
import type {
  Appended,
  AppendedRun,
  AppendingProducer,
  ArchivedLog,
  Deletion,
  Extent,
  FifoMessage,
  LogHead,
  NewFifoMessage,
  NewMessage,
  NodeName,
  OnceMessage,
  OnceOutcome,
  PeerCursor,
  PeerSyncState,
  ProducerName,
  ProducerPlace,
  ReadLimits,
  Replicated,
  ReplicatedBatch,
  SequencedMessage,
  SequenceFilter,
  SequencePage,
  Store,
  StoredMessage,
} from "../store.ts";
import { MemoryDedup, type MemoryProducer } from "./dedup.ts";
import { MemoryLog } from "./log.ts";
import { passes } from "./sequence_filter.ts";

/** Messages that one `readAll` looks at. */
const SCANNED_MESSAGES = 4_096;

const ONE: ReadLimits = { messages: 1, bytes: 0 };

interface MemoryQueue {
  lastSequence: number;
  readonly waiting: FifoMessage[];
}

/** The store without a file: the same promises, except that closing it forgets everything. */
export class MemoryStore implements Store {
  readonly incarnation: string;
  readonly #logs = new LogMap<MemoryLog>();
  /** By name. */
  readonly #archived = new LogMap<Map<string, MemoryLog>>();
  /** Where the message with sequence n stands is at n - 1. */
  readonly #places: { readonly log: MemoryLog; readonly headId: number }[] = [];
  readonly #queues = new Map<string, MemoryQueue>();
  /** By peer. */
  readonly #states = new Map<string, LogMap<PeerSyncState>>();
  readonly #cursors = new Map<string, PeerCursor>();
  readonly #dedup: MemoryDedup;
  /** Those that stored something, the newest last. */
  readonly #openings: Opening[] = [];
  #opening: Opening;
  #closed = false;

  /** `incarnation` and `opening`: UUIDs; by default random ones. */
  constructor(
    incarnation: string = crypto.randomUUID(),
    dedup: DedupLimits = DEFAULT_DEDUP_LIMITS,
    opening: string = crypto.randomUUID(),
  ) {
    this.incarnation = incarnation;
    this.#dedup = new MemoryDedup(dedup);
    this.#opening = this.#openedAs(opening);
  }

  /** Goes on as if it was opened anew: another opening begins. */
  reopen(opening: string): void {
    this.#opening = this.#openedAs(opening);
  }

  openingOf(sequence: number): string {
    return openingOf(this.#opening, sequence);
  }

  lastOf(opening: string): Promise<number | undefined> {
    return this.#call(() => {
      const at = this.#openings.findIndex(({ id }) => id === opening);
      return at === -1 ? undefined : this.#openings[at + 1]?.after ?? this.#places.length;
    });
  }

  append(batch: readonly NewMessage[]): Promise<readonly Appended[]> {
    return this.#call(() => batch.map((message) => this.#append(message)));
  }

  appendOnce(batch: readonly OnceMessage[], producer?: AppendingProducer): Promise<readonly OnceOutcome[]> {
    return this.#call(() => this.#appendOnce(batch, producer));
  }

  openProducer(name: ProducerName, epoch: number, nowMs: number): Promise<ProducerPlace> {
    return this.#call(() => {
      this.#dedup.expire(nowMs);
      const { epoch: opened, lastSequence } = this.#dedup.open(name, epoch, nowMs);
      return { epoch: opened, lastSequence };
    });
  }

  read(topic: string, origin: NodeName, fromHeadId: number, limits: ReadLimits): Promise<StoredMessage[]> {
    return this.#call(() => this.#logs.get(topic, origin)?.read(fromHeadId, limits) ?? []);
  }

  readAll(from: number, filter: SequenceFilter, limits: ReadLimits): Promise<SequencePage> {
    return this.#call(() => this.#readAll(Math.max(from, 1), filter, limits));
  }

  heads(): Promise<readonly LogHead[]> {
    return this.#call(() =>
      [...this.#logs.values()].filter(({ head }) => head > 0).map((log) => ({
        topic: log.topic,
        origin: log.origin,
        headId: log.head,
        incarnation: log.incarnation,
        sequence: log.sequence,
      }))
    );
  }

  deleteRange(
    topic: string,
    origin: NodeName,
    from: number,
    to: number,
    marker: NewMessage,
  ): Promise<Deletion> {
    return this.#call(() => {
      const log = this.#logs.get(topic, origin);
      if (log === undefined) throw noSuchRange(from, to, 0);
      const deletedCount = log.deleteStored(from, to);
      this.#eraseAside(log);
      return { deletedCount, marker: this.#append(marker), erased: true };
    });
  }

  extent(topic: string, origin: NodeName, from: number, to: number, bytes: number): Promise<Extent> {
    return this.#call(() => this.#logs.get(topic, origin)?.extent(from, to, bytes) ?? { to, bytes: 0 });
  }

  eraseRange(
    topic: string,
    origin: NodeName,
    from: number,
    to: number,
    incarnation: string,
  ): Promise<boolean> {
    return this.#call(() => {
      if (!isRange({ from, to })) throw noRangeError({ topic, from, to });
      const log = this.#logs.get(topic, origin);
      if (log !== undefined && !isOtherIncarnation(log.incarnation, incarnation)) {
        log.erase(from, to);
        this.#eraseAside(log);
      }
      return true;
    });
  }

  replicate(batch: ReplicatedBatch): Promise<Replicated> {
    return this.#call(() => this.#replicate(batch));
  }

  archive(topic: string, origin: NodeName, forgetDeletes = false): Promise<string> {
    return this.#call(() => {
      const log = this.#logs.get(topic, origin);
      if (log === undefined || log.head === 0) throw noSuchLog(topic);
      let archived = this.#archived.get(topic, origin);
      if (archived === undefined) this.#archived.set(topic, origin, archived = new Map());
      const name = archiveName(log.incarnation, (taken) => archived.has(taken));
      archived.set(name, log);
      this.#logs.delete(topic, origin);
      if (forgetDeletes) { for (const each of this.#logs.valuesOf(origin)) each.forgetDeletes(); }
      return name;
    });
  }

  archivedLogs(): Promise<readonly ArchivedLog[]> {
    return this.#call(() =>
      [...this.#archived.values()].flatMap((byName) =>
        [...byName].map(([name, { topic, origin, head }]) => ({ topic, origin, name, headId: head }))
      )
    );
  }

  readArchived(
    topic: string,
    origin: NodeName,
    name: string,
    fromHeadId: number,
    limits: ReadLimits,
  ): Promise<StoredMessage[]> {
    return this.#call(() => this.#archived.get(topic, origin)?.get(name)?.read(fromHeadId, limits) ?? []);
  }

  enqueueFifo(message: NewFifoMessage): Promise<number> {
    return this.#call(() => this.#enqueue(message));
  }

  peekFifo(queue: string): Promise<FifoMessage | undefined> {
    return this.#call(() => this.#queues.get(queue)?.waiting[0]);
  }

  ackFifo(queue: string, id: string): Promise<boolean> {
    return this.#call(() => {
      const waiting = this.#queues.get(queue)?.waiting;
      if (waiting?.[0]?.id !== id) return false;
      waiting.shift();
      return true;
    });
  }

  rejectFifo(queue: string, id: string): Promise<boolean> {
    return this.#call(() => {
      const waiting = this.#queues.get(queue)?.waiting;
      const front = waiting?.[0];
      if (waiting === undefined || front?.id !== id) return false;
      waiting[0] = { ...front, attempts: front.attempts + 1 };
      return true;
    });
  }

  peerSyncStates(): Promise<readonly PeerSyncState[]> {
    return this.#call(() =>
      [...this.#states.values()].flatMap((ofPeer) => [...ofPeer.values()]).sort(comparePeerSyncStates)
    );
  }

  peerCursor(peer: string): Promise<PeerCursor | undefined> {
    return this.#call(() => this.#cursors.get(peer));
  }

  recordPeerSync(states: readonly PeerSyncState[], cursor?: PeerCursor): Promise<void> {
    return this.#call(() => {
      for (const state of states) this.#putState(state);
      if (cursor !== undefined) this.#cursors.set(cursor.peer, cursor);
    });
  }

  check(): Promise<void> {
    return this.#call(() => {});
  }

  close(): Promise<void> {
    this.#closed = true; // every call before has settled: they apply at once
    return Promise.resolve();
  }

  /** A call applies at once, so calls apply in their order; only its result comes later, as from a disk. */
  #call<T>(apply: () => T): Promise<T> {
    if (this.#closed) return Promise.reject(closedError());
    return new Promise((resolve) => resolve(apply())); // what `apply` throws rejects it
  }

  #append({ topic, origin, id, createdAtMs, payload, headers }: NewMessage): Appended {
    const log = this.#logOf(topic, origin);
    const headId = log.head + 1;
    const placed = { headId, sequence: this.#place(log, headId) };
    log.push({ ...placed, id, createdAtMs, payload, headers, deleted: false });
    return placed;
  }

  /** Gives a message the next sequence. */
  #place(log: MemoryLog, headId: number): number {
    if (this.#places.length === this.#opening.after) {
      this.#openings.push(this.#opening);
      if (this.#openings.length > MAX_OPENINGS) this.#openings.shift();
    }
    return this.#places.push({ log, headId });
  }

  #openedAs(id: string): Opening {
    return { id, after: this.#places.length, before: this.#openings.at(-1)?.id ?? "" };
  }

  #appendOnce(batch: readonly OnceMessage[], as: AppendingProducer | undefined): OnceOutcome[] {
    const [first] = batch;
    if (first === undefined) return [];
    const nowMs = first.createdAtMs;
    this.#dedup.expire(nowMs);
    const producer = as && this.#dedup.open(as, as.epoch, nowMs);
    const outcomes: OnceOutcome[] = [];
    let run: { -readonly [Key in keyof AppendedRun]: AppendedRun[Key] } | undefined;
    let runLog: MemoryLog | undefined;
    batch.forEach((message, at) => {
      const sequence = (as?.firstSequence ?? 0) + at;
      const log = this.#logOf(message.topic, message.origin);
      const known = this.#known(message, log, producer, sequence, at);
      if (known !== undefined) {
        if (known.kind === "duplicate" && producer !== undefined) {
          producer.lastSequence = Math.max(producer.lastSequence, sequence);
        }
        outcomes.push(known);
        return run = undefined;
      }
      const place = this.#append(message);
      if (message.key !== undefined) this.#dedup.storeKey(log, message.key, place.sequence, nowMs);
      if (producer !== undefined) this.#dedup.store(producer, sequence, place.sequence, nowMs);
      if (run !== undefined && runLog === log) run.count++;
      else outcomes.push(run = { kind: "appended", at, count: 1, ...place });
      runLog = log;
    });
    return outcomes;
  }

  /** What is known of a message; undefined where it is new. */
  #known(
    message: OnceMessage,
    log: MemoryLog,
    producer: MemoryProducer | undefined,
    sequence: number,
    at: number,
  ): OnceOutcome | undefined {
    const byKey = message.key === undefined ? undefined : log.keys.get(message.key);
    if (byKey !== undefined) return this.#compared(message, byKey, at, "key_conflict");
    if (producer === undefined || sequence > producer.lastSequence) return undefined;
    const stored = this.#dedup.storedWith(producer, sequence);
    if (stored === undefined) return { kind: "refused", at, reason: "forgotten" };
    return this.#compared(message, stored, at, "sequence_conflict");
  }

  #compared(
    message: OnceMessage,
    stored: number,
    at: number,
    reason: "key_conflict" | "sequence_conflict",
  ): OnceOutcome {
    const place = this.#places[stored - 1];
    const first = place?.log.at(place.headId);
    if (
      place === undefined || first === undefined || place.log.topic !== message.topic ||
      !(first.deleted || isSameContent(first, message))
    ) return { kind: "refused", at, reason };
    const { headId, sequence, id, createdAtMs, deleted } = first;
    return { kind: "duplicate", at, headId, sequence, id, createdAtMs, deleted };
  }

  #replicate(batch: ReplicatedBatch): Replicated {
    const { topic, origin, messages, deletes } = batch;
    const log = this.#logs.get(topic, origin) ?? new MemoryLog(topic, origin);
    const newlyDeletedHeads = log.compare(batch);
    const wrong = deletes.find((range) => !isRange(range));
    if (wrong !== undefined) throw noRangeError(wrong);
    this.#logs.set(topic, origin, log);
    for (const range of deletes) {
      const deleted = this.#logOf(range.topic, origin);
      deleted.delete(range.from, range.to, batch.incarnation);
      this.#eraseAside(deleted);
    }
    for (const head of newlyDeletedHeads) log.mark(head);
    if (batch.incarnation !== "") log.incarnation = batch.incarnation;
    const headBefore = log.head;
    const deletedHeads: number[] = [];
    for (const { headId, id, createdAtMs, payload, headers, deleted } of messages) {
      if (headId <= headBefore) continue;
      const covered = !deleted && log.covers(headId, batch.incarnation);
      if (covered) deletedHeads.push(headId);
      const sequence = this.#place(log, headId);
      log.push({ headId, sequence, id, createdAtMs, payload, headers, deleted: deleted || covered });
    }
    this.#eraseAside(log);
    log.forgetDeleted(batch.incarnation);
    const appended = log.head - headBefore;
    const aside = [...this.#archived.get(topic, origin)?.values() ?? []];
    const isNew = (head: number) =>
      log.read(head, ONE).some(({ id, deleted }) =>
        head > headBefore && !deleted && aside.every((before) => before.at(head)?.id !== id)
      );
    return {
      headId: log.head,
      appended,
      firstSequence: appended === 0 ? 0 : log.sequence - appended + 1,
      deletedHeads,
      newlyDeletedHeads,
      enqueued: batch.enqueues.map(({ headId, message }) => isNew(headId) ? this.#enqueue(message) : 0),
      erased: true,
    };
  }

  #eraseAside(log: MemoryLog): void {
    for (const aside of this.#archived.get(log.topic, log.origin)?.values() ?? []) aside.eraseLike(log);
  }

  #readAll(from: number, filter: SequenceFilter, limits: ReadLimits): SequencePage {
    const messages: SequencedMessage[] = [];
    const end = Math.min(this.#places.length + 1, from + SCANNED_MESSAGES);
    let bytes = 0;
    let next = from;
    for (; next < end; next++) {
      const place = this.#places[next - 1];
      const stored = place?.log.at(place.headId);
      if (place === undefined || stored === undefined) break;
      const { topic, origin } = place.log;
      const message = { ...stored, topic, origin };
      if (this.#logs.get(topic, origin) !== place.log || !passes(filter, message)) continue;
      bytes += message.payload.length + message.headers.length;
      if (messages.length === limits.messages || (bytes > limits.bytes && messages.length > 0)) break;
      messages.push(message);
    }
    return { messages, next };
  }

  #enqueue(message: NewFifoMessage): number {
    let queue = this.#queues.get(message.queue);
    if (queue === undefined) this.#queues.set(message.queue, queue = { lastSequence: 0, waiting: [] });
    const sequence = ++queue.lastSequence;
    const { payload, headers } = message;
    queue.waiting.push({
      ...message,
      payload: payload.slice(),
      headers: headers.slice(),
      sequence,
      attempts: 0,
    });
    return sequence;
  }

  #putState(state: PeerSyncState): void {
    let ofPeer = this.#states.get(state.peer);
    if (ofPeer === undefined) this.#states.set(state.peer, ofPeer = new LogMap());
    ofPeer.set(state.topic, state.origin, state);
  }

  #logOf(topic: string, origin: NodeName): MemoryLog {
    let log = this.#logs.get(topic, origin);
    if (log === undefined) this.#logs.set(topic, origin, log = new MemoryLog(topic, origin));
    return log;
  }
}

/** By peer, topic and origin; 0 for states of the same. */
function comparePeerSyncStates(a: PeerSyncState, b: PeerSyncState): number {
  const pairs = [
    [a.peer, b.peer],
    [a.topic, b.topic],
    [a.origin.tenantId, b.origin.tenantId],
    [a.origin.blName, b.origin.blName],
    [a.origin.deviceId, b.origin.deviceId],
  ] as const;
  for (const [left, right] of pairs) if (left !== right) return left < right ? -1 : 1;
  return 0;
}
