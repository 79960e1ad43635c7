import { closedError, StoreError } from "../error.ts";
import { type Opening, openingOf } from "../opening.ts";
import type {
  Appended,
  AppendingProducer,
  ArchivedLog,
  DedupLimits,
  Deletion,
  Extent,
  FifoMessage,
  LogHead,
  LogName,
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
  SequenceFilter,
  SequencePage,
  Store,
  StoredMessage,
} from "../store.ts";
import * as answer from "./answer.ts";
import type { Durability } from "./connection.ts";
import { RequestWriter } from "./request_writer.ts";
import { lockedError } from "./connection.ts";
import { realPath } from "./paths.ts";
import { StoreLink } from "./store_link.ts";

export interface SqliteStoreOptions {
  /** The file; it and its folder are created when absent. */
  readonly path: string;
  /** Default "full". */
  readonly durability?: Durability;
  /** DEFAULT_DEDUP_LIMITS where absent. */
  readonly dedup?: DedupLimits;
  /** For tests of a full disk: pages of 4,096 bytes the file may have. */
  readonly maxPages?: number;
}

/** Real paths open in this process. SQLite's locks keep out other processes only. */
const openPaths = new Set<string>();

/** The store in one SQLite file, on a thread of its own. */
export class SqliteStore implements Store {
  readonly incarnation: string;
  readonly #opening: Opening;
  readonly #link: StoreLink;
  readonly #path: string;
  readonly #requests = new RequestWriter();
  /** The logs that pages of several logs have named, by their numbers there. */
  readonly #logs = new Map<number, LogName>();
  #closing: Promise<void> | undefined;

  private constructor(link: StoreLink, { incarnation, opening }: answer.OpenedStore, path: string) {
    this.incarnation = incarnation;
    this.#opening = opening;
    this.#link = link;
    this.#path = path;
  }

  /**
   * Fails with "not_writable", "not_a_database", "newer_schema", "locked", "too_old_sqlite", "full" or "broken";
   * a file that is not ours is left untouched.
   */
  static async open(
    { path, durability = "full", dedup, maxPages }: SqliteStoreOptions,
  ): Promise<SqliteStore> {
    const real = realPath(path);
    if (openPaths.has(real)) throw lockedError(path);
    openPaths.add(real);
    try {
      const { link, ...opened } = await StoreLink.open({
        path: real,
        durability,
        ...dedup !== undefined && { dedup },
        ...maxPages !== undefined && { maxPages },
      });
      return new SqliteStore(link, opened, real);
    } catch (error) {
      openPaths.delete(real);
      throw error;
    }
  }

  openingOf(sequence: number): string {
    return openingOf(this.#opening, sequence);
  }

  lastOf(opening: string): Promise<number | undefined> {
    return this.#call((call) => this.#requests.named("lastOf", call, opening), answer.readOptionalSequence);
  }

  append(batch: readonly NewMessage[]): Promise<readonly Appended[]> {
    return this.#call((call) => this.#requests.append(call, batch), answer.readAppended, batch.length);
  }

  appendOnce(batch: readonly OnceMessage[], producer?: AppendingProducer): Promise<readonly OnceOutcome[]> {
    return this.#call(
      (call) => this.#requests.appendOnce(call, batch, producer),
      answer.readOutcomes,
      batch.length,
    );
  }

  openProducer(name: ProducerName, epoch: number, nowMs: number): Promise<ProducerPlace> {
    return this.#call(
      (call) => this.#requests.openProducer(call, name, epoch, nowMs),
      answer.readProducerPlace,
    );
  }

  read(topic: string, origin: NodeName, from: number, limits: ReadLimits): Promise<StoredMessage[]> {
    return this.#call((call) => this.#requests.read(call, topic, origin, from, limits), answer.readPage);
  }

  readAll(from: number, filter: SequenceFilter, limits: ReadLimits): Promise<SequencePage> {
    return this.#call(
      (call) => this.#requests.readAll(call, from, filter, limits),
      (body) => answer.readSequencePage(body, this.#logs),
    );
  }

  heads(): Promise<readonly LogHead[]> {
    return this.#call((call) => this.#requests.plain("heads", call), answer.readHeads);
  }

  deleteRange(
    topic: string,
    origin: NodeName,
    from: number,
    to: number,
    marker: NewMessage,
  ): Promise<Deletion> {
    return this.#call(
      (call) => this.#requests.deleteRange(call, topic, origin, from, to, marker),
      answer.readDeletion,
    );
  }

  extent(topic: string, origin: NodeName, from: number, to: number, bytes: number): Promise<Extent> {
    return this.#call(
      (call) => this.#requests.extent(call, topic, origin, from, to, bytes),
      answer.readExtent,
    );
  }

  eraseRange(
    topic: string,
    origin: NodeName,
    from: number,
    to: number,
    incarnation: string,
  ): Promise<boolean> {
    return this.#call(
      (call) => this.#requests.eraseRange(call, topic, origin, from, to, incarnation),
      answer.readErasure,
    );
  }

  replicate(batch: ReplicatedBatch): Promise<Replicated> {
    return this.#call((call) => this.#requests.replicate(call, batch), answer.readReplicated);
  }

  archive(topic: string, origin: NodeName, forgetDeletes = false): Promise<string> {
    return this.#call((call) => this.#requests.archive(call, topic, origin, forgetDeletes), answer.readText);
  }

  archivedLogs(): Promise<readonly ArchivedLog[]> {
    return this.#call((call) => this.#requests.plain("archivedLogs", call), answer.readArchivedLogs);
  }

  readArchived(
    topic: string,
    origin: NodeName,
    name: string,
    from: number,
    limits: ReadLimits,
  ): Promise<StoredMessage[]> {
    return this.#call(
      (call) => this.#requests.readArchived(call, topic, origin, name, from, limits),
      answer.readPage,
    );
  }

  enqueueFifo(message: NewFifoMessage): Promise<number> {
    return this.#call((call) => this.#requests.enqueueFifo(call, message), answer.readSequence, 1);
  }

  peekFifo(queue: string): Promise<FifoMessage | undefined> {
    return this.#call((call) => this.#requests.named("peekFifo", call, queue), answer.readFront);
  }

  ackFifo(queue: string, id: string): Promise<boolean> {
    return this.#call((call) => this.#requests.front("ackFifo", call, queue, id), answer.readAccepted, 1);
  }

  rejectFifo(queue: string, id: string): Promise<boolean> {
    return this.#call((call) => this.#requests.front("rejectFifo", call, queue, id), answer.readAccepted, 1);
  }

  peerSyncStates(): Promise<readonly PeerSyncState[]> {
    return this.#call((call) => this.#requests.plain("peerSyncStates", call), answer.readPeerSyncStates);
  }

  peerCursor(peer: string): Promise<PeerCursor | undefined> {
    return this.#call((call) => this.#requests.named("peerCursor", call, peer), answer.readPeerCursor);
  }

  recordPeerSync(states: readonly PeerSyncState[], cursor?: PeerCursor): Promise<void> {
    return this.#call((call) => this.#requests.recordPeerSync(call, states, cursor), answer.readNothing);
  }

  check(): Promise<void> {
    return this.#call((call) => this.#requests.plain("check", call), answer.readNothing);
  }

  /** How well writes share commits. */
  stats(): Promise<answer.StoreStats> {
    return this.#call((call) => this.#requests.plain("stats", call), answer.readStats);
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    try {
      // The thread answers this one last, when everything called before it has settled.
      await this.#link.call((call) => this.#requests.plain("close", call), answer.readNothing);
    } catch (error) {
      // A thread that died has already failed every pending call; what is left to do is the same.
      if (!(error instanceof StoreError)) throw error;
    } finally {
      this.#link.end();
      openPaths.delete(this.#path);
    }
  }

  #call<T>(
    encode: (call: number) => Uint8Array,
    decode: answer.AnswerReader<T>,
    messages?: number,
  ): Promise<T> {
    if (this.#closing !== undefined) return Promise.reject(closedError());
    return this.#link.call(encode, decode, messages);
  }
}
