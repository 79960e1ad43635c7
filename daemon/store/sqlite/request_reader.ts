import type { NodeName, PeerSyncState, ProducerName, ReadLimits } from "../store.ts";
import { ByteReader } from "./byte_reader.ts";
import type { FifoEntry } from "./fifo_tables.ts";
import type { LogChunk } from "./chunk.ts";
import { LogFilter } from "./log_filter.ts";
import type { LogTables } from "./log_tables.ts";
import type { LogTail } from "./log_tail.ts";
import { readStoredId } from "./message_id.ts";
import { readNode } from "./node_encoding.ts";
import { readPeerCursor, readPeerSyncState } from "./peer_encoding.ts";
import type { ReplicatedEntries } from "./replication.ts";
import { type Op, OPS, type ReadRequest, type Request, type WriteRequest } from "./request.ts";

/** Decodes what a RequestWriter wrote. */
export class RequestReader {
  readonly #tables: LogTables;
  readonly #logs: LogTail[] = [];
  /** By their places, see SentLists. */
  readonly #lists: LogFilter[] = [];

  constructor(tables: LogTables) {
    this.#tables = tables;
  }

  read(frame: Uint8Array<ArrayBuffer>): Request {
    const from = new ByteReader(frame);
    const op: Op | undefined = OPS[from.u8()];
    const call = from.u32();
    const bytes = frame.length;
    switch (op) {
      case "append":
        return write({ op, call, bytes, ...this.#batch(from) });
      case "appendOnce": {
        const createdAtMs = from.f64();
        const { owner, id } = readProducer(from);
        const [epoch, firstSequence] = [from.f64(), from.f64()];
        const producer = id === "" ? undefined : { owner, id, epoch, firstSequence };
        const keys = new Map<number, string>();
        while (from.u8() === 1) keys.set(from.u32(), from.text());
        return write({ op, call, bytes, createdAtMs, producer, keys, ...this.#batch(from) });
      }
      case "openProducer":
        return write({ op, call, bytes, name: readProducer(from), epoch: from.f64(), nowMs: from.f64() });
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
          marker: this.#chunk(from),
        });
      }
      case "eraseRange":
        return write({
          op,
          call,
          bytes,
          ...readLog(from),
          from: from.f64(),
          to: from.f64(),
          incarnation: from.text(),
        });
      case "replicate":
        return write({ op, call, bytes, ...this.#replicated(from) });
      case "archive":
        return write({ op, call, bytes, ...readLog(from), forgetDeletes: from.u8() === 1 });
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
      case "readAll": {
        const start = readPageStart(from);
        const [only, except] = [this.#filter(from), this.#filter(from)];
        const skipDeleted = from.u8() === 1;
        const createdFromMs = from.u8() === 1 ? from.f64() : undefined;
        return read({ op, call, ...start, only, except, skipDeleted, createdFromMs });
      }
      case "extent":
        return read({
          op,
          call,
          ...readLog(from),
          from: from.f64(),
          to: from.f64(),
          most: from.f64(),
        });
      case "lastOf":
        return read({ op, call, opening: from.text() });
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

  #batch(from: ByteReader): { count: number; chunks: LogChunk[] } {
    const chunks: LogChunk[] = [];
    let count = 0;
    while (from.left > 0) {
      const chunk = this.#chunk(from);
      chunks.push(chunk);
      count += chunk.count;
    }
    return { count, chunks };
  }

  #chunk(from: ByteReader): LogChunk {
    return { log: this.#log(from), count: from.u32(), contentBytes: from.u32(), messages: from.bytes() };
  }

  #replicated(from: ByteReader): ReplicatedEntries {
    const log = this.#log(from);
    const incarnation = from.text();
    const firstHead = from.f64();
    const firstDeleted = from.f64();
    const firstDeletedHead = firstDeleted === 0 ? undefined : firstDeleted;
    const count = from.u32();
    const messages = from.bytes();
    const deletes = [];
    for (let left = from.u32(); left > 0; left--) {
      deletes.push({ log: this.#log(from), from: from.f64(), to: from.f64(), erasedTo: from.f64() });
    }
    const enqueues = [];
    for (let left = from.u32(); left > 0; left--) {
      enqueues.push({ headId: from.f64(), entry: readFifoEntry(from) });
    }
    return { log, incarnation, firstHead, firstDeletedHead, count, messages, deletes, enqueues };
  }

  /** Undefined where there is none. */
  #filter(from: ByteReader): LogFilter | undefined {
    const place = from.u32();
    if (place === 0) return undefined;
    if (from.u8() === 1) {
      const filter = this.#lists[place - 1] = new LogFilter();
      for (let left = from.u32(); left > 0; left--) filter.add(readLog(from));
    }
    return this.#lists[place - 1];
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

function readProducer(from: ByteReader): ProducerName {
  return { owner: from.text(), id: from.text() };
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
