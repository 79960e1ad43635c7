import { StoreError } from "../error.ts";
import * as answer from "./answer.ts";
import type { ByteWriter } from "./byte_writer.ts";
import { Connection, type ConnectionOptions, type ConnectionPorts } from "./connection.ts";
import { FifoTables } from "./fifo_tables.ts";
import { COMMIT_BYTES, COMMIT_MESSAGES } from "./limits.ts";
import { LogTables } from "./log_tables.ts";
import { PeerTable } from "./peer_table.ts";
import type { ReadRequest, WriteRequest } from "./request.ts";

type Outcome = answer.AnswerBody | StoreError;

/** All tables behind one connection: applies requests and writes their answers. Runs on the store thread. */
export class Database {
  readonly logs: LogTables;
  readonly #connection: Connection;
  readonly #fifo: FifoTables;
  readonly #peers: PeerTable;
  #commits = 0;
  #calls = 0;

  /** Throws StoreError. Ports that are left out are those of this machine. */
  constructor(options: ConnectionOptions, ports: Partial<ConnectionPorts> = {}) {
    this.#connection = new Connection(options, ports);
    try {
      this.logs = new LogTables(this.#connection);
      this.#fifo = new FifoTables(this.#connection);
      this.#peers = new PeerTable(this.#connection);
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
    const { count, bytes } = fitting(waiting);
    const requests = waiting.slice(0, count);
    const erases = requests[0]?.op === "deleteRange";
    let outcomes: readonly Outcome[] = [];
    try {
      if (erases) this.#connection.prepareErasure();
      this.#connection.transaction(bytes, () => {
        outcomes = requests.map((request) => this.#apply(request));
        this.logs.flush();
      });
      this.logs.keep();
    } catch (error) {
      this.logs.undo();
      if (!(error instanceof StoreError)) throw error;
      for (const { call } of requests) answer.writeFailure(to, call, error);
      return count;
    }
    this.#commits++;
    this.#calls += count;
    if (erases) this.#connection.erase();
    requests.forEach(({ call }, at) => write(to, call, outcomes[at]));
    return count;
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
      this.#connection.transaction(0, () => this.logs.writeRuns());
      this.logs.keep();
    } catch (error) {
      this.logs.undo();
      // They can be found again in the messages; and a store that is broken by this says so to the next call.
      if (!(error instanceof StoreError)) throw error;
    }
  }

  /** A StoreError it returns concerns this request only and was found before any change. */
  #apply(request: WriteRequest): Outcome {
    switch (request.op) {
      case "append":
        return answer.appended(request.entries.map((entry) => this.logs.append(entry)));
      case "deleteRange": {
        const { topic, origin, from, to } = request;
        const deletedCount = this.logs.deleteRange(this.logs.find(topic, origin), from, to);
        if (deletedCount instanceof StoreError) return deletedCount;
        const marker = this.logs.append(request.marker);
        return answer.deletion(deletedCount, marker, () => !this.#connection.erasureDue);
      }
      case "enqueueFifo":
        return answer.sequence(this.#fifo.enqueue(request.entry));
      case "ackFifo":
        return answer.accepted(this.#fifo.ack(request.queue, request.id));
      case "rejectFifo":
        return answer.accepted(this.#fifo.reject(request.queue, request.id));
      case "recordPeerSyncState":
        this.#peers.put(request.state);
        return answer.nothing;
    }
  }

  #ask(request: ReadRequest): Outcome {
    switch (request.op) {
      case "read": {
        const log = this.logs.find(request.topic, request.origin);
        return answer.page(log === undefined ? [] : this.logs.read(log, request.from, request.limits));
      }
      case "peekFifo":
        return answer.front(this.#fifo.peek(request.queue));
      case "heads":
        return answer.heads(this.logs.tails());
      case "peerSyncStates":
        return answer.peerSyncStates(this.#peers.list());
      case "check":
        this.#connection.check();
        return answer.nothing;
      case "stats":
        return answer.stats({ commits: this.#commits, calls: this.#calls });
    }
  }
}

function write(to: ByteWriter, call: number, outcome: Outcome | undefined): void {
  if (outcome instanceof StoreError) answer.writeFailure(to, call, outcome);
  else answer.writeAnswer(to, call, outcome ?? answer.nothing);
}

/**
 * At least one; more while all of them stay within the limits of a commit. Deletions have commits without other writes:
 * erasing must need as little space as possible.
 */
function fitting(waiting: readonly WriteRequest[]): { count: number; bytes: number } {
  let count = 0;
  let messages = 0;
  let bytes = 0;
  const erases = waiting[0]?.op === "deleteRange";
  for (const request of waiting) {
    if ((request.op === "deleteRange") !== erases) break;
    messages += request.op === "append" ? request.entries.length : 1;
    if (count > 0 && (messages > COMMIT_MESSAGES || bytes + request.bytes > COMMIT_BYTES)) break;
    bytes += request.bytes;
    count++;
  }
  return { count, bytes };
}
