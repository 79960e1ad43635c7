import { MemoryStore } from "../../daemon/store/memory/store.ts";
import {
  type Appended,
  type AppendingProducer,
  type ArchivedLog,
  DEFAULT_DEDUP_LIMITS,
  type Deletion,
  type Extent,
  type FifoMessage,
  isOtherIncarnation,
  type LogHead,
  LogMap,
  type NewFifoMessage,
  type NewMessage,
  type NodeName,
  type OnceMessage,
  type OnceOutcome,
  type PeerCursor,
  type PeerSyncState,
  type ProducerName,
  type ProducerPlace,
  type ReadLimits,
  type Replicated,
  type ReplicatedBatch,
  type SequenceFilter,
  type SequencePage,
  type Store,
  type StoredMessage,
} from "../../daemon/store/store.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

/** Milliseconds from a read to its answer, twice: most of the time, and now and then. */
const READ_MS = 3;
const SLOW_READ_MS = 100;

type Write = (store: MemoryStore) => Promise<unknown>;

/** Writes that were synced together. */
interface Commit {
  /** Of the process that made it. */
  readonly opening: string;
  readonly writes: readonly Write[];
}

/** What survives the death of a process: the commits that were synced, in order. */
export class Disk {
  incarnation: string;
  commits: Commit[] = [];
  #openings = 0;

  constructor(incarnation: string) {
    this.incarnation = incarnation;
  }

  /** Names an opening as none was before, also where a backup was restored meanwhile. */
  newOpening(): string {
    return `opening ${++this.#openings} of ${this.incarnation}`;
  }

  /** What the commits amount to, opened; whoever only reads needs no name for that. */
  load(opening = ""): MemoryStore {
    const store = new MemoryStore(this.incarnation, DEFAULT_DEDUP_LIMITS, opening);
    let last = opening;
    for (const { opening, writes } of this.commits) {
      if (opening !== last) store.reopen(last = opening);
      for (const write of writes) write(store).catch(() => {}); // it failed the first time as well
    }
    store.reopen(opening);
    return store;
  }
}

/** Heads that are deleted, since a step of the run. */
interface Erased {
  readonly from: number;
  readonly to: number;
  /** Of the marker that said so; "" where unknown. */
  readonly incarnation: string;
  readonly step: number;
}

const ONE = { messages: 1, bytes: 0 };

/** A write that is not durable yet. */
interface Call {
  readonly write: Write;
  /** Applies it to what is durable, and says how to tell whoever called. */
  readonly commit: () => Promise<() => void>;
}

/** A read that waits for the writes called before it. */
interface WaitingRead {
  readonly afterWrite: number;
  readonly run: () => void;
}

/** A message as a store takes it: whoever handed it over may change its bytes while it waits for its commit. */
function copyOf(message: OnceMessage): OnceMessage {
  const { topic, origin, id, createdAtMs, payload, headers, key } = message;
  return { topic, origin, id, createdAtMs, payload: payload.slice(), headers: headers.slice(), key };
}

/**
 * A store on a disk, as the one of SQLite is: writes that wait share a commit, are durable with it or lost with it when
 * the process dies, and settle in their order, most often all of them in one turn. Reads see all writes that were called
 * before, answer behind those, and see whole commits.
 */
export class DiskStore implements Store {
  readonly incarnation: string;
  /** What is durable. */
  readonly memory: MemoryStore;
  readonly #disk: Disk;
  readonly #opening: string;
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #fsyncMs: number;
  #waiting: Call[] = [];
  #committing: readonly Call[] = [];
  /** Writes that were called, and those that are durable. */
  #called = 0;
  #durable = 0;
  #reads: WaitingRead[] = [];
  /** What the process is to hear, in this order. */
  #answers: (() => void)[] = [];
  readonly #erased = new LogMap<Erased[]>();
  /** Of which life of their origin the copies are, where that was said. */
  readonly #lives = new LogMap<string>();
  #dead = false;

  constructor(disk: Disk, scheduler: Scheduler, random: Random, fsyncMs: number) {
    this.#disk = disk;
    this.#scheduler = scheduler;
    this.#random = random;
    this.#fsyncMs = fsyncMs;
    this.incarnation = disk.incarnation;
    this.#opening = disk.newOpening();
    this.memory = disk.load(this.#opening);
  }

  /** The process dies: the commit under way is on the disk or is not, and nothing settles any more. */
  die(): void {
    if (this.#dead) return;
    this.#dead = true;
    if (this.#committing.length > 0 && this.#random.chance(0.5)) {
      this.#sync(this.#committing);
    }
  }

  /** Whether a message was known to be deleted before the current step. */
  wasErased(topic: string, origin: NodeName, head: number): boolean {
    const step = this.#scheduler.steps;
    return this.#erased.get(topic, origin)?.some((range) =>
      range.from <= head && head <= range.to && range.step < step
    ) ?? false;
  }

  openingOf(sequence: number): string {
    return this.memory.openingOf(sequence);
  }

  lastOf(opening: string): Promise<number | undefined> {
    return this.#read((store) => store.lastOf(opening));
  }

  append(batch: readonly NewMessage[]): Promise<readonly Appended[]> {
    const taken = batch.map(copyOf);
    return this.#write((store) => store.append(taken));
  }

  appendOnce(batch: readonly OnceMessage[], producer?: AppendingProducer): Promise<readonly OnceOutcome[]> {
    const taken = batch.map(copyOf);
    return this.#write((store) => store.appendOnce(taken, producer));
  }

  openProducer(name: ProducerName, epoch: number, nowMs: number): Promise<ProducerPlace> {
    return this.#write((store) => store.openProducer(name, epoch, nowMs));
  }

  read(topic: string, origin: NodeName, fromHeadId: number, limits: ReadLimits): Promise<StoredMessage[]> {
    return this.#read((store) => store.read(topic, origin, fromHeadId, limits));
  }

  readAll(from: number, filter: SequenceFilter, limits: ReadLimits): Promise<SequencePage> {
    return this.#read((store) => store.readAll(from, filter, limits));
  }

  heads(): Promise<readonly LogHead[]> {
    return this.#read((store) => store.heads());
  }

  deleteRange(
    topic: string,
    origin: NodeName,
    from: number,
    to: number,
    marker: NewMessage,
  ): Promise<Deletion> {
    return this.#write(
      (store) => store.deleteRange(topic, origin, from, to, marker),
      () => this.#erase(topic, origin, from, to),
    );
  }

  extent(topic: string, origin: NodeName, from: number, to: number, bytes: number): Promise<Extent> {
    return this.#read((store) => store.extent(topic, origin, from, to, bytes));
  }

  eraseRange(
    topic: string,
    origin: NodeName,
    from: number,
    to: number,
    incarnation: string,
  ): Promise<boolean> {
    // A log that was set aside meanwhile has nothing there.
    let isThere = false;
    return this.#write(
      (store) => {
        void store.read(topic, origin, from, ONE).then(({ length }) => isThere = length > 0);
        return store.eraseRange(topic, origin, from, to, incarnation);
      },
      () => {
        if (isThere) this.#erase(topic, origin, from, to, incarnation);
      },
    );
  }

  replicate(batch: ReplicatedBatch): Promise<Replicated> {
    const { origin } = batch;
    return this.#write((store) => store.replicate(batch), () => {
      for (const { topic, from, to } of batch.deletes) {
        this.#erase(topic, origin, from, to, batch.incarnation);
      }
      this.#forgetOtherLives(batch);
      for (const { headId, deleted } of batch.messages) {
        if (deleted) this.#erase(batch.topic, origin, headId, headId);
      }
    });
  }

  archive(topic: string, origin: NodeName, forgetDeletes?: boolean): Promise<string> {
    return this.#write(
      (store) => store.archive(topic, origin, forgetDeletes),
      () => {
        this.#erased.delete(topic, origin);
        this.#lives.delete(topic, origin);
        // What was not there yet may come again as another message.
        if (forgetDeletes) { for (const ranges of this.#erased.valuesOf(origin)) ranges.length = 0; }
      },
    );
  }

  archivedLogs(): Promise<readonly ArchivedLog[]> {
    return this.#read((store) => store.archivedLogs());
  }

  readArchived(
    topic: string,
    origin: NodeName,
    name: string,
    fromHeadId: number,
    limits: ReadLimits,
  ): Promise<StoredMessage[]> {
    return this.#read((store) => store.readArchived(topic, origin, name, fromHeadId, limits));
  }

  enqueueFifo(message: NewFifoMessage): Promise<number> {
    return this.#write((store) => store.enqueueFifo(message));
  }

  peekFifo(queue: string): Promise<FifoMessage | undefined> {
    return this.#read((store) => store.peekFifo(queue));
  }

  ackFifo(queue: string, id: string): Promise<boolean> {
    return this.#write((store) => store.ackFifo(queue, id));
  }

  rejectFifo(queue: string, id: string): Promise<boolean> {
    return this.#write((store) => store.rejectFifo(queue, id));
  }

  peerSyncStates(): Promise<readonly PeerSyncState[]> {
    return this.#read((store) => store.peerSyncStates());
  }

  peerCursor(peer: string): Promise<PeerCursor | undefined> {
    return this.#read((store) => store.peerCursor(peer));
  }

  recordPeerSync(states: readonly PeerSyncState[], cursor?: PeerCursor): Promise<void> {
    return this.#write((store) => store.recordPeerSync(states, cursor));
  }

  check(): Promise<void> {
    return this.#read((store) => store.check());
  }

  close(): Promise<void> {
    return this.#write((store) => store.check());
  }

  /** `done` is called just before whoever called hears that the write is durable. */
  #write<T>(write: (store: MemoryStore) => Promise<T>, done: () => void = () => {}): Promise<T> {
    return new Promise((resolve, reject) => {
      const commit = () =>
        write(this.memory).then((value) => () => {
          done();
          resolve(value);
        }, (error: unknown) => () => reject(error));
      this.#waiting.push({ write, commit });
      this.#called++;
      if (this.#waiting.length === 1 && this.#committing.length === 0) {
        this.#after(0, () => this.#beginCommit());
      }
    });
  }

  /** Takes what waits, now and then not all of it. */
  #beginCommit(): void {
    const { length } = this.#waiting;
    if (length === 0) return;
    const random = this.#random;
    this.#committing = this.#waiting.splice(0, random.chance(0.8) ? length : 1 + random.below(length));
    this.#after(random.next() * this.#fsyncMs, () => void this.#commit());
  }

  async #commit(): Promise<void> {
    const calls = this.#committing;
    this.#sync(calls);
    this.#durable += calls.length;
    this.#committing = [];
    this.#beginCommit();
    for (const answer of await Promise.all(calls.map(({ commit }) => commit()))) this.#answers.push(answer);
    const ready = this.#reads.filter(({ afterWrite }) => afterWrite <= this.#durable);
    this.#reads = this.#reads.filter(({ afterWrite }) => afterWrite > this.#durable);
    for (const { run } of ready) run();
    this.#deliver();
  }

  #sync(calls: readonly Call[]): void {
    this.#disk.commits.push({ opening: this.#opening, writes: calls.map(({ write }) => write) });
  }

  /** Gives answers in one turn: all of them most of the time; otherwise later ones may come to those that are left. */
  #deliver(): void {
    const random = this.#random;
    const { length } = this.#answers;
    const delivered = random.chance(0.8) ? length : random.below(length + 1);
    for (const answer of this.#answers.splice(0, delivered)) answer();
    if (this.#answers.length > 0) this.#after(random.next() * READ_MS, () => this.#deliver());
  }

  /** Reads at some moment between the call and the answer. */
  #read<T>(read: (store: MemoryStore) => Promise<T>): Promise<T> {
    const random = this.#random;
    // Some take so long that much is written before the answer.
    const ms = random.chance(0.2) ? SLOW_READ_MS : READ_MS;
    const afterWrite = this.#called;
    return new Promise((resolve) => {
      const run = () => {
        const result = read(this.memory);
        result.catch(() => {}); // whoever called hears of it with the answer
        this.#after(random.next() * ms, () => {
          this.#answers.push(() => resolve(result));
          this.#deliver();
        });
      };
      const ask = () => {
        if (afterWrite <= this.#durable) run();
        else this.#reads.push({ afterWrite, run });
      };
      if (random.chance(0.5)) ask();
      else this.#after(random.next() * ms, ask);
    });
  }

  /** Runs something after so many milliseconds unless the process dies before. */
  #after(ms: number, run: () => void): void {
    this.#scheduler.after(ms, () => {
      if (!this.#dead) run();
    });
  }

  /** What markers of another life of the origin would have deleted is none of these messages. */
  #forgetOtherLives({ topic, origin, incarnation }: ReplicatedBatch): void {
    if (incarnation !== "") this.#lives.set(topic, origin, incarnation);
    const erased = this.#erased.get(topic, origin);
    if (erased !== undefined) {
      this.#erased.set(
        topic,
        origin,
        erased.filter((range) => !isOtherIncarnation(range.incarnation, incarnation)),
      );
    }
  }

  #erase(topic: string, origin: NodeName, from: number, to: number, incarnation = ""): void {
    if (isOtherIncarnation(this.#lives.get(topic, origin) ?? "", incarnation)) return;
    const erased = this.#erased.get(topic, origin);
    const range = { from, to, incarnation, step: this.#scheduler.steps };
    if (erased === undefined) this.#erased.set(topic, origin, [range]);
    else erased.push(range);
  }
}
