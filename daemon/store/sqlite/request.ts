import { LogMap } from "../log_map.ts";
import { firstHeadOf } from "../replication.ts";
import type {
  NewFifoMessage,
  NewMessage,
  NodeName,
  PeerCursor,
  PeerSyncState,
  ReadLimits,
  ReplicatedBatch,
} from "../store.ts";
import { ByteReader } from "./byte_reader.ts";
import { ByteWriter } from "./byte_writer.ts";
import type { FifoEntry } from "./fifo_tables.ts";
import type { LogEntry, LogTables } from "./log_tables.ts";
import type { LogTail } from "./log_tail.ts";
import { readStoredId, type StoredId, writeId } from "./message_id.ts";
import { readPeerCursor, readPeerSyncState, writePeerCursor, writePeerSyncState } from "./peer_encoding.ts";
import { readNode, writeNode } from "./node_encoding.ts";
import type { ReplicatedEntries, ReplicatedEntry } from "./replication.ts";

/** A call that changes the store. `bytes` is what it adds, roughly. */
export type WriteRequest =
  & { readonly call: number; readonly bytes: number }
  & (
    | { readonly op: "append"; readonly entries: readonly LogEntry[] }
    | {
      readonly op: "deleteRange";
      readonly topic: string;
      readonly origin: NodeName;
      readonly from: number;
      readonly to: number;
      readonly marker: LogEntry;
    }
    | ({ readonly op: "replicate" } & ReplicatedEntries)
    | { readonly op: "archive"; readonly topic: string; readonly origin: NodeName }
    | { readonly op: "enqueueFifo"; readonly entry: FifoEntry }
    | { readonly op: "ackFifo" | "rejectFifo"; readonly queue: string; readonly id: StoredId }
    | {
      readonly op: "recordPeerSync";
      readonly states: readonly PeerSyncState[];
      readonly cursor: PeerCursor | undefined;
    }
  );

/** A call that only asks. */
export type ReadRequest =
  & { readonly call: number }
  & (
    | {
      readonly op: "read";
      readonly topic: string;
      readonly origin: NodeName;
      readonly from: number;
      readonly limits: ReadLimits;
    }
    | {
      readonly op: "readArchived";
      readonly topic: string;
      readonly origin: NodeName;
      readonly name: string;
      readonly from: number;
      readonly limits: ReadLimits;
    }
    | { readonly op: "idAt"; readonly sequence: number }
    | { readonly op: "peekFifo"; readonly queue: string }
    | { readonly op: "peerCursor"; readonly peer: string }
    | { readonly op: PlainOp }
  );

/** A call without arguments that only asks. */
type PlainOp = "heads" | "archivedLogs" | "peerSyncStates" | "check" | "stats";

/** What the event loop asks the store thread for. */
export type Request =
  | { readonly kind: "write"; readonly request: WriteRequest }
  | { readonly kind: "read"; readonly request: ReadRequest }
  | { readonly kind: "close"; readonly call: number };

const OPS = [
  "append",
  "deleteRange",
  "replicate",
  "archive",
  "enqueueFifo",
  "ackFifo",
  "rejectFifo",
  "recordPeerSync",
  "read",
  "readArchived",
  "idAt",
  "peekFifo",
  "heads",
  "archivedLogs",
  "peerSyncStates",
  "peerCursor",
  "check",
  "stats",
  "close",
] as const;

type Op = typeof OPS[number];

/** Encodes requests as frames. The encoded bytes are valid until the next request. */
export class RequestWriter {
  readonly #to = new ByteWriter();
  /** Logs of appended and copied messages by the order of their first use: their names cross the link once. */
  readonly #logs = new LogMap<number>();

  append(call: number, batch: readonly NewMessage[]): Uint8Array {
    this.#begin("append", call);
    this.#to.u32(batch.length);
    for (const message of batch) this.#message(message);
    return this.#end();
  }

  deleteRange(
    call: number,
    topic: string,
    origin: NodeName,
    from: number,
    to: number,
    marker: NewMessage,
  ): Uint8Array {
    this.#begin("deleteRange", call);
    this.#log(topic, origin);
    this.#to.f64(from);
    this.#to.f64(to);
    this.#message(marker);
    return this.#end();
  }

  /** Throws StoreError when the heads of the batch do not follow one another. */
  replicate(call: number, batch: ReplicatedBatch): Uint8Array {
    const { topic, origin, incarnation, messages, deletes, enqueues } = batch;
    const firstHead = firstHeadOf(batch);
    const to = this.#to;
    this.#begin("replicate", call);
    this.#knownLog(topic, origin);
    to.text(incarnation);
    to.f64(firstHead);
    to.u32(messages.length);
    for (const message of messages) {
      to.u8(message.deleted ? 1 : 0);
      this.#content(message);
    }
    to.u32(deletes.length);
    for (const range of deletes) {
      this.#knownLog(range.topic, origin);
      to.f64(range.from);
      to.f64(range.to);
    }
    to.u32(enqueues.length);
    for (const { headId, message } of enqueues) {
      to.f64(headId);
      this.#fifoMessage(message);
    }
    return this.#end();
  }

  archive(call: number, topic: string, origin: NodeName): Uint8Array {
    this.#begin("archive", call);
    this.#log(topic, origin);
    return this.#end();
  }

  enqueueFifo(call: number, message: NewFifoMessage): Uint8Array {
    this.#begin("enqueueFifo", call);
    this.#fifoMessage(message);
    return this.#end();
  }

  front(op: "ackFifo" | "rejectFifo", call: number, queue: string, id: string): Uint8Array {
    this.#begin(op, call);
    this.#to.text(queue);
    writeId(this.#to, id);
    return this.#end();
  }

  recordPeerSync(
    call: number,
    states: readonly PeerSyncState[],
    cursor: PeerCursor | undefined,
  ): Uint8Array {
    this.#begin("recordPeerSync", call);
    this.#to.u32(states.length);
    for (const state of states) writePeerSyncState(this.#to, state);
    writePeerCursor(this.#to, cursor);
    return this.#end();
  }

  read(call: number, topic: string, origin: NodeName, from: number, limits: ReadLimits): Uint8Array {
    this.#begin("read", call);
    this.#log(topic, origin);
    this.#pageStart(from, limits);
    return this.#end();
  }

  readArchived(
    call: number,
    topic: string,
    origin: NodeName,
    name: string,
    from: number,
    limits: ReadLimits,
  ): Uint8Array {
    this.#begin("readArchived", call);
    this.#log(topic, origin);
    this.#to.text(name);
    this.#pageStart(from, limits);
    return this.#end();
  }

  idAt(call: number, sequence: number): Uint8Array {
    this.#begin("idAt", call);
    this.#to.f64(sequence);
    return this.#end();
  }

  named(op: "peekFifo" | "peerCursor", call: number, name: string): Uint8Array {
    this.#begin(op, call);
    this.#to.text(name);
    return this.#end();
  }

  plain(op: PlainOp | "close", call: number): Uint8Array {
    this.#begin(op, call);
    return this.#end();
  }

  #begin(op: Op, call: number): void {
    this.#to.reset();
    this.#to.beginFrame();
    this.#to.u8(OPS.indexOf(op));
    this.#to.u32(call);
  }

  #end(): Uint8Array {
    this.#to.endFrame();
    return this.#to.written;
  }

  #message(message: NewMessage): void {
    this.#knownLog(message.topic, message.origin);
    this.#content(message);
  }

  #content({ id, createdAtMs, payload, headers }: Omit<NewMessage, "topic" | "origin">): void {
    const to = this.#to;
    writeId(to, id);
    to.f64(createdAtMs);
    to.bytes(payload);
    to.bytes(headers);
  }

  #fifoMessage(message: NewFifoMessage): void {
    const to = this.#to;
    to.text(message.queue);
    writeId(to, message.id);
    this.#log(message.topic, message.source);
    writeNode(to, message.target);
    to.f64(message.createdAtMs);
    to.bytes(message.payload);
    to.bytes(message.headers);
  }

  #pageStart(from: number, limits: ReadLimits): void {
    this.#to.f64(from);
    this.#to.f64(limits.messages);
    this.#to.f64(limits.bytes);
  }

  #knownLog(topic: string, origin: NodeName): void {
    const known = this.#logs.get(topic, origin);
    this.#to.u32(known ?? this.#logs.size);
    if (known !== undefined) return;
    this.#logs.set(topic, origin, this.#logs.size);
    this.#log(topic, origin);
  }

  #log(topic: string, origin: NodeName): void {
    this.#to.text(topic);
    writeNode(this.#to, origin);
  }
}

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
