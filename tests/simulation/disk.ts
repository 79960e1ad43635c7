import { MemoryStore } from "../../daemon/store/memory/store.ts";
import {
  type Appended,
  type AppendingProducer,
  type ArchivedLog,
  type Deletion,
  type FifoMessage,
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

/** What survives the death of a process: the writes that were synced, in order. */
export class Disk {
  incarnation: string;
  writes: Write[] = [];

  constructor(incarnation: string) {
    this.incarnation = incarnation;
  }

  /** What the writes amount to. */
  load(): MemoryStore {
    const store = new MemoryStore(this.incarnation);
    for (const write of this.writes) write(store).catch(() => {}); // it failed the first time as well
    return store;
  }
}

/** Heads that are deleted, since a step of the run. */
interface Erased {
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

/**
 * A store on a disk: writes apply in order, settle when they are synced, and are lost when the process dies before.
 * Reads see all writes that were called before, and answer later.
 */
export class DiskStore implements Store {
  readonly incarnation: string;
  readonly memory: MemoryStore;
  readonly #disk: Disk;
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #fsyncMs: number;
  readonly #pending: Write[] = [];
  readonly #erased = new LogMap<Erased[]>();
  #settlesAt = 0;
  #dead = false;

  constructor(disk: Disk, scheduler: Scheduler, random: Random, fsyncMs: number) {
    this.#disk = disk;
    this.#scheduler = scheduler;
    this.#random = random;
    this.#fsyncMs = fsyncMs;
    this.incarnation = disk.incarnation;
    this.memory = disk.load();
  }

  /** The process dies: what is not synced is kept up to some write, and nothing settles any more. */
  die(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#disk.writes.push(...this.#pending.slice(0, this.#random.below(this.#pending.length + 1)));
  }

  /** Whether a message was known to be deleted before the current step. */
  wasErased(topic: string, origin: NodeName, head: number): boolean {
    const step = this.#scheduler.steps;
    return this.#erased.get(topic, origin)?.some((range) =>
      range.from <= head && head <= range.to && range.step < step
    ) ?? false;
  }

  append(batch: readonly NewMessage[]): Promise<readonly Appended[]> {
    return this.#write((store) => store.append(batch));
  }

  appendOnce(batch: readonly OnceMessage[], producer?: AppendingProducer): Promise<readonly OnceOutcome[]> {
    return this.#write((store) => store.appendOnce(batch, producer));
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

  async deleteRange(
    topic: string,
    origin: NodeName,
    from: number,
    to: number,
    marker: NewMessage,
  ): Promise<Deletion> {
    const deletion = await this.#write((store) => store.deleteRange(topic, origin, from, to, marker));
    this.#erase(topic, origin, from, to);
    return deletion;
  }

  async replicate(batch: ReplicatedBatch): Promise<Replicated> {
    const replicated = await this.#write((store) => store.replicate(batch));
    const { origin } = batch;
    for (const { topic, from, to } of batch.deletes) this.#erase(topic, origin, from, to);
    for (const { headId, deleted } of batch.messages) {
      if (deleted) this.#erase(batch.topic, origin, headId, headId);
    }
    return replicated;
  }

  idAt(sequence: number): Promise<string | undefined> {
    return this.#read((store) => store.idAt(sequence));
  }

  async archive(topic: string, origin: NodeName): Promise<string> {
    const name = await this.#write((store) => store.archive(topic, origin));
    this.#erased.delete(topic, origin);
    return name;
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

  #write<T>(write: (store: MemoryStore) => Promise<T>): Promise<T> {
    const { now } = this.#scheduler;
    this.#pending.push(write);
    const result = write(this.memory);
    result.catch(() => {}); // whoever called hears of it when it settles
    // Some share a commit with the one before.
    const shared = this.#settlesAt > now && this.#random.chance(0.3);
    if (!shared) this.#settlesAt = Math.max(now, this.#settlesAt) + this.#random.next() * this.#fsyncMs;
    return new Promise((resolve) =>
      this.#scheduler.after(this.#settlesAt - now, () => {
        if (this.#dead) return;
        this.#pending.shift();
        this.#disk.writes.push(write);
        resolve(result);
      })
    );
  }

  /** Reads at some moment between the call and the answer. */
  #read<T>(read: (store: MemoryStore) => Promise<T>): Promise<T> {
    // Some take so long that much is written before the answer.
    const ms = this.#random.chance(0.2) ? SLOW_READ_MS : READ_MS;
    return new Promise((resolve) => {
      const answer = (result: Promise<T>) => {
        result.catch(() => {}); // whoever called hears of it with the answer
        this.#scheduler.after(this.#random.next() * ms, () => {
          if (!this.#dead) resolve(result);
        });
      };
      if (this.#random.chance(0.5)) return answer(read(this.memory));
      this.#scheduler.after(this.#random.next() * ms, () => answer(read(this.memory)));
    });
  }

  #erase(topic: string, origin: NodeName, from: number, to: number): void {
    const erased = this.#erased.get(topic, origin);
    const range = { from, to, step: this.#scheduler.steps };
    if (erased === undefined) this.#erased.set(topic, origin, [range]);
    else erased.push(range);
  }
}
