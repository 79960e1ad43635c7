import type { NodeName, PeerSyncState, ReadLimits } from "../store.ts";
import { ByteReader } from "./byte_reader.ts";
import type { FifoEntry } from "./fifo_tables.ts";
import type { LogEntry, LogTables } from "./log_tables.ts";
import type { LogTail } from "./log_tail.ts";
import { readStoredId } from "./message_id.ts";
import { readNode } from "./node_encoding.ts";
import { readPeerCursor, readPeerSyncState } from "./peer_encoding.ts";
import type { ReplicatedEntries, ReplicatedEntry } from "./replication.ts";
import { type Op, OPS, type ReadRequest, type Request, type WriteRequest } from "./request.ts";

/** Decodes what a RequestWriter wrote. */
export class RequestReader {
  readonly #tables: LogTables;
  readonly #logs: LogTail[] = [];

  constructor(tables: LogTables) {
    this.#tables = tables;
  }

  read(frame: Uint8Array<ArrayBuffer>): Request {
    const from = new ByteReader(frame);
    const op: Op | undefined = OPS[from.u8()];
    const call = from.u32();
    const bytes = frame.length;
    switch (op) {
      case "append": {
        const entries: LogEntry[] = [];
        for (let left = from.u32(); left > 0; left--) entries.push(this.#entry(from));
        return write({ op, call, bytes, entries });
      }
      case "deleteRange": {
        const { topic, origin } = readLog(from);
        return write({
          op,
          call,
          bytes,
          topic,
          origin,
          from: from.f64(),
          to: from.f64(),
          marker: this.#entry(from),
        });
      }
      case "replicate":
        return write({ op, call, bytes, ...this.#replicated(from) });
      case "archive":
        return write({ op, call, bytes, ...readLog(from) });
      case "enqueueFifo":
        return write({ op, call, bytes, entry: readFifoEntry(from) });
      case "ackFifo":
      case "rejectFifo":
        return write({ op, call, bytes, queue: from.text(), id: readStoredId(from) });
      case "recordPeerSync": {
        const states: PeerSyncState[] = [];
        for (let left = from.u32(); left > 0; left--) states.push(readPeerSyncState(from));
        return write({ op, call, bytes, states, cursor: readPeerCursor(from) });
      }
      case "read": {
        const log = readLog(from);
        return read({ op, call, ...log, ...readPageStart(from) });
      }
      case "readArchived": {
        const log = readLog(from);
        return read({ op, call, ...log, name: from.text(), ...readPageStart(from) });
      }
      case "idAt":
        return read({ op, call, sequence: from.f64() });
      case "peekFifo":
        return read({ op, call, queue: from.text() });
      case "peerCursor":
        return read({ op, call, peer: from.text() });
      case "heads":
      case "archivedLogs":
      case "peerSyncStates":
      case "check":
      case "stats":
        return read({ op, call });
      case "close":
        return { kind: "close", call };
      default:
        throw new Error("Cannot read a request: its operation is unknown");
    }
  }

  #entry(from: ByteReader): LogEntry {
    return {
      log: this.#log(from),
      id: readStoredId(from),
      createdAtMs: from.f64(),
      payload: from.bytes(),
      headers: from.bytes(),
    };
  }

  #replicated(from: ByteReader): ReplicatedEntries {
    const log = this.#log(from);
    const incarnation = from.text();
    const firstHead = from.f64();
    let firstDeletedHead: number | undefined;
    const messages: ReplicatedEntry[] = [];
    for (let left = from.u32(); left > 0; left--) {
      const deleted = from.u8() === 1;
      if (deleted) firstDeletedHead ??= firstHead + messages.length;
      messages.push({
        log,
        id: readStoredId(from),
        createdAtMs: from.f64(),
        payload: from.bytes(),
        headers: from.bytes(),
        deleted,
      });
    }
    const deletes = [];
    for (let left = from.u32(); left > 0; left--) {
      deletes.push({ log: this.#log(from), from: from.f64(), to: from.f64() });
    }
    const enqueues = [];
    for (let left = from.u32(); left > 0; left--) {
      enqueues.push({ headId: from.f64(), entry: readFifoEntry(from) });
    }
    return { log, incarnation, firstHead, firstDeletedHead, messages, deletes, enqueues };
  }

  #log(from: ByteReader): LogTail {
    const known = this.#logs[from.u32()];
    if (known !== undefined) return known;
    const { topic, origin } = readLog(from);
    const log = this.#tables.tail(topic, origin);
    this.#logs.push(log);
    return log;
  }
}

function readLog(from: ByteReader): { topic: string; origin: NodeName } {
  return { topic: from.text(), origin: readNode(from) };
}

function readPageStart(from: ByteReader): { from: number; limits: ReadLimits } {
  return { from: from.f64(), limits: { messages: from.f64(), bytes: from.f64() } };
}

function readFifoEntry(from: ByteReader): FifoEntry {
  return {
    queue: from.text(),
    id: readStoredId(from),
    topic: from.text(),
    source: readNode(from),
    target: readNode(from),
    createdAtMs: from.f64(),
    payload: from.bytes(),
    headers: from.bytes(),
  };
}

function write(request: WriteRequest): Request {
  return { kind: "write", request };
}

function read(request: ReadRequest): Request {
  return { kind: "read", request };
}
