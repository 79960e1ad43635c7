import { StoreError } from "../error.ts";
import { isOtherIncarnation } from "../incarnation.ts";
import { type DedupLimits, DEFAULT_DEDUP_LIMITS } from "../once.ts";
import type { ReadLimits } from "../store.ts";
import * as answer from "./answer.ts";
import { LogsAside } from "./logs_aside.ts";
import type { ByteWriter } from "./byte_writer.ts";
import { Connection, type ConnectionOptions, type ConnectionPorts } from "./connection.ts";
import { FifoTables } from "./fifo_tables.ts";
import { COMMIT_BYTES, COMMIT_MESSAGES } from "./limits.ts";
import type { LogChunk } from "./chunk.ts";
import { LogTables } from "./log_tables.ts";
import type { LogTail } from "./log_tail.ts";
import { OnceAppender } from "./once_appender.ts";
import type { PagePart, Wanted } from "./page.ts";
import { PeerTables } from "./peer_tables.ts";
import { Replication } from "./replication.ts";
import { isRange, noRangeError } from "../replication.ts";
import { messagesOf, type ReadRequest, type WriteRequest } from "./request.ts";
import { storageIncarnation } from "./storage_table.ts";

type ReadAllRequest = Extract<ReadRequest, { op: "readAll" }>;
type Outcome = answer.AnswerBody | StoreError;

export interface DatabaseOptions extends ConnectionOptions {
  /** DEFAULT_DEDUP_LIMITS where absent. */
  readonly dedup?: DedupLimits;
}

/** All tables behind one connection: applies requests and writes their answers. Runs on the store thread. */
export class Database {
  /** This storage's own id. */
  readonly incarnation: string;
  readonly logs: LogTables;
  readonly #connection: Connection;
  readonly #fifo: FifoTables;
  readonly #peers: PeerTables;
  readonly #aside: LogsAside;
  readonly #replication: Replication;
  readonly #once: OnceAppender;
  /** The numbers of logs that a page of several logs has named. */
  readonly #named = new Set<number>();
  #commits = 0;
  #calls = 0;

  /** Throws StoreError. Ports that are left out are those of this machine. `newId` makes that of the opening, and of a new file. */
  constructor(
    options: DatabaseOptions,
    ports: Partial<ConnectionPorts> = {},
    newId: () => string = () => crypto.randomUUID(),
  ) {
    this.#connection = new Connection(options, ports);
    try {
      this.incarnation = storageIncarnation(this.#connection, newId);
      this.logs = new LogTables(this.#connection, newId());
      this.#fifo = new FifoTables(this.#connection);
      this.#peers = new PeerTables(this.#connection);
      this.#aside = new LogsAside(this.logs);
      this.#replication = new Replication(this.logs, this.#fifo, this.#aside);
      this.#once = new OnceAppender(this.#connection, this.logs, options.dedup ?? DEFAULT_DEDUP_LIMITS);
    } catch (error) {
      const failure = this.#connection.readFailed(error);
      this.#connection.close();
      throw failure;
    }
  }

  /**
   * Applies requests from the front of `waiting` in one commit, as many as fit, and writes their answers. Says how
   * many these were. Payloads that were deleted are erased from the write-ahead log too before this returns, unless
   * their answers say that this is still due.
   */
  commit(waiting: readonly WriteRequest[], to: ByteWriter): number {
    const [first] = waiting;
    if (first === undefined) return 0;
    const erases = this.#mayErase(first);
    const most = fitting(waiting);
    const outcomes: Outcome[] = [];
    let tried = 1;
    try {
      if (erases) this.#connection.prepareErasure();
      this.#connection.transaction(() => {
        let bytes = 0;
        for (const request of waiting) {
          // Deletions have commits without other writes: erasing must need as little space as possible. Which writes
          // delete what is stored may follow from those before them.
          if (outcomes.length === most || this.#mayErase(request) !== erases) break;
          tried = outcomes.length + 1;
          outcomes.push(this.#apply(request));
          bytes += request.bytes;
        }
        this.logs.flush();
        return bytes;
      });
      this.logs.keep();
    } catch (error) {
      this.logs.undo();
      this.#once.undo();
      if (!(error instanceof StoreError)) throw error;
      for (const { call } of waiting.slice(0, tried)) answer.writeFailure(to, call, error);
      return tried;
    }
    this.#commits++;
    this.#calls += outcomes.length;
    if (erases) this.#connection.erase();
    outcomes.forEach((outcome, at) => write(to, waiting[at]?.call ?? 0, outcome));
    return outcomes.length;
  }

  /** Answers a request that changes nothing. Between commits only: it must not see an open transaction. */
  answer(request: ReadRequest, to: ByteWriter): void {
    let outcome: Outcome;
    try {
      outcome = this.#ask(request);
    } catch (error) {
      outcome = this.#connection.readFailed(error);
    }
    write(to, request.call, outcome);
  }

  /** To be called after each commit, and while `erasureDue` also now and then. */
  checkpointIfDue(): void {
    if (!this.#connection.checkpointDue) return;
    this.#writeRuns();
    this.#connection.checkpoint();
  }

  /** Whether something deleted is still in the files, because there is no space to erase it. */
  get erasureDue(): boolean {
    return this.#connection.erasureDue && this.#connection.broken === undefined;
  }

  close(): void {
    this.#writeRuns();
    this.#connection.close();
  }

  #writeRuns(): void {
    if (!this.logs.runsUnwritten) return;
    try {
      this.#connection.transaction(() => {
        this.logs.writeRuns();
        return 0;
      });
      this.logs.keep();
    } catch (error) {
      this.logs.undo();
      // They can be found again in the messages; and a store that is broken by this says so to the next call.
      if (!(error instanceof StoreError)) throw error;
    }
  }

  /** Whether the request may have to erase messages that are stored, or were written before it in the same commit. */
  #mayErase(request: WriteRequest): boolean {
    return request.op === "deleteRange" || request.op === "eraseRange" ||
      (request.op === "replicate" && this.#replication.mayErase(request));
  }

  /** A StoreError it returns concerns this request only and was found before any change. */
  #apply(request: WriteRequest): Outcome {
    switch (request.op) {
      case "append":
        return answer.appended(this.#append(request.chunks));
      case "appendOnce": {
        const outcomes = this.#once.append(request);
        return outcomes instanceof StoreError ? outcomes : answer.outcomes(outcomes);
      }
      case "openProducer": {
        const { name, epoch, nowMs } = request;
        const place = this.#once.openProducer(name, epoch, nowMs);
        return place instanceof StoreError ? place : answer.producerPlace(place);
      }
      case "deleteRange": {
        const { topic, origin, from, to } = request;
        const log = this.logs.find(topic, origin);
        const deletedCount = this.logs.deleteRange(log, from, to);
        if (deletedCount instanceof StoreError) return deletedCount;
        if (log !== undefined) this.#aside.erase(log, from, to);
        const marker = this.logs.append(request.marker.log, request.marker);
        return answer.deletion(deletedCount, marker, () => !this.#connection.erasureDue);
      }
      case "eraseRange": {
        const { topic, origin, from, to, incarnation } = request;
        if (!isRange(request)) return noRangeError(request);
        const log = this.logs.find(topic, origin);
        if (log !== undefined && !isOtherIncarnation(log.incarnation, incarnation)) {
          this.logs.erase(log, from, Math.min(to, log.head));
          this.#aside.erase(log, from, to);
        }
        return answer.erasure(() => !this.#connection.erasureDue);
      }
      case "replicate": {
        const rows = this.#replication.apply(request);
        if (rows instanceof StoreError) return rows;
        return answer.replicated(rows, () => !this.#connection.erasureDue);
      }
      case "archive": {
        const name = this.logs.archive(request.topic, request.origin, request.forgetDeletes);
        return name instanceof StoreError ? name : answer.text(name);
      }
      case "enqueueFifo":
        return answer.sequence(this.#fifo.enqueue(request.entry));
      case "ackFifo":
        return answer.accepted(this.#fifo.ack(request.queue, request.id));
      case "rejectFifo":
        return answer.accepted(this.#fifo.reject(request.queue, request.id));
      case "recordPeerSync":
        for (const state of request.states) this.#peers.put(state);
        if (request.cursor !== undefined) this.#peers.putCursor(request.cursor);
        return answer.nothing;
    }
  }

  #ask(request: ReadRequest): Outcome {
    switch (request.op) {
      case "read":
        return this.#page(this.logs.find(request.topic, request.origin), request);
      case "readArchived":
        return this.#page(this.logs.findArchived(request.topic, request.origin, request.name), request);
      case "readAll":
        return this.#sequencePage(request);
      case "extent": {
        const { topic, origin, from, to, most } = request;
        const log = this.logs.find(topic, origin);
        return answer.extent(log === undefined ? { to, bytes: 0 } : this.logs.extent(log, from, to, most));
      }
      case "lastOf":
        return answer.optionalSequence(this.logs.lastOf(request.opening));
      case "peekFifo":
        return answer.front(this.#fifo.peek(request.queue));
      case "heads":
        return answer.heads(this.logs.tails());
      case "archivedLogs":
        return answer.archivedLogs(this.logs.archived());
      case "peerCursor":
        return answer.peerCursor(this.#peers.cursor(request.peer));
      case "peerSyncStates":
        return answer.peerSyncStates(this.#peers.list());
      case "check":
        this.#connection.check();
        return answer.nothing;
      case "stats":
        return answer.stats({ commits: this.#commits, calls: this.#calls });
    }
  }

  #append(chunks: readonly LogChunk[]): answer.PlainRun[] {
    const runs: answer.PlainRun[] = [];
    let last: LogTail | undefined;
    for (const chunk of chunks) {
      const first = this.logs.append(chunk.log, chunk);
      const run = runs.at(-1);
      if (run !== undefined && last === chunk.log) run.count += chunk.count;
      else runs.push({ ...first, count: chunk.count });
      last = chunk.log;
    }
    return runs;
  }

  #page(log: LogTail | undefined, { from, limits }: { from: number; limits: ReadLimits }): Outcome {
    return answer.page(log && this.logs.read(log, from, limits));
  }

  #sequencePage({ from, limits, only, except, skipDeleted, createdFromMs }: ReadAllRequest): Outcome {
    const inLog = (log: LogTail) => only?.has(log) !== false && except?.has(log) !== true;
    const wanted: Wanted = (message) =>
      !(skipDeleted && message.deleted) &&
      (createdFromMs === undefined || message.createdAtMs >= createdFromMs);
    const isFiltered = skipDeleted || createdFromMs !== undefined;
    const { page, next } = this.logs.readAll(
      Math.max(from, 1),
      limits,
      only === undefined && except === undefined ? undefined : inLog,
      isFiltered ? wanted : undefined,
    );
    return answer.sequencePage(page, next, this.#newlyNamed(page.parts));
  }

  #newlyNamed(parts: readonly PagePart[]): LogTail[] {
    const logs: LogTail[] = [];
    for (const { log: number } of parts) {
      const log = this.#named.has(number) ? undefined : this.logs.byNumber(number);
      if (log === undefined) continue;
      this.#named.add(number);
      logs.push(log);
    }
    return logs;
  }
}

function write(to: ByteWriter, call: number, outcome: Outcome | undefined): void {
  if (outcome instanceof StoreError) answer.writeFailure(to, call, outcome);
  else answer.writeAnswer(to, call, outcome ?? answer.nothing);
}

/** How many requests from the front stay within the limits of a commit; at least one. */
function fitting(waiting: readonly WriteRequest[]): number {
  let count = 0;
  let messages = 0;
  let bytes = 0;
  for (const request of waiting) {
    messages += messagesOf(request);
    bytes += request.bytes;
    if (count > 0 && (messages > COMMIT_MESSAGES || bytes > COMMIT_BYTES)) break;
    count++;
  }
  return count;
}
