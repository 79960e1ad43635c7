import { LogMap } from "../log_map.ts";
import type { NewFifoMessage, NewMessage, NodeName, PeerSyncState, ReadLimits } from "../store.ts";
import { ByteReader } from "./byte_reader.ts";
import { ByteWriter } from "./byte_writer.ts";
import type { FifoEntry } from "./fifo_tables.ts";
import type { LogEntry, LogTables } from "./log_tables.ts";
import type { LogTail } from "./log_tail.ts";
import { readStoredId, type StoredId, writeId } from "./message_id.ts";

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
    | { readonly op: "enqueueFifo"; readonly entry: FifoEntry }
    | { readonly op: "ackFifo" | "rejectFifo"; readonly queue: string; readonly id: StoredId }
    | { readonly op: "recordPeerSyncState"; readonly state: PeerSyncState }
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
    | { readonly op: "peekFifo"; readonly queue: string }
    | { readonly op: "heads" | "peerSyncStates" | "check" | "stats" }
  );

/** What the event loop asks the store thread for. */
export type Request =
  | { readonly kind: "write"; readonly request: WriteRequest }
  | { readonly kind: "read"; readonly request: ReadRequest }
  | { readonly kind: "close"; readonly call: number };

const OPS = [
  "append",
  "deleteRange",
  "enqueueFifo",
  "ackFifo",
  "rejectFifo",
  "recordPeerSyncState",
  "read",
  "peekFifo",
  "heads",
  "peerSyncStates",
  "check",
  "stats",
  "close",
] as const;

type Op = typeof OPS[number];

/** Encodes requests as frames. The encoded bytes are valid until the next request. */
export class RequestWriter {
  readonly #to = new ByteWriter();
  /** Logs of appended messages by the order of their first use: their names cross the link once. */
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

  enqueueFifo(call: number, message: NewFifoMessage): Uint8Array {
    this.#begin("enqueueFifo", call);
    this.#to.text(message.queue);
    writeId(this.#to, message.id);
    this.#log(message.topic, message.source);
    writeNode(this.#to, message.target);
    this.#to.f64(message.createdAtMs);
    this.#to.bytes(message.payload);
    this.#to.bytes(message.headers);
    return this.#end();
  }

  front(op: "ackFifo" | "rejectFifo", call: number, queue: string, id: string): Uint8Array {
    this.#begin(op, call);
    this.#to.text(queue);
    writeId(this.#to, id);
    return this.#end();
  }

  recordPeerSyncState(call: number, state: PeerSyncState): Uint8Array {
    this.#begin("recordPeerSyncState", call);
    writePeerSyncState(this.#to, state);
    return this.#end();
  }

  read(call: number, topic: string, origin: NodeName, from: number, limits: ReadLimits): Uint8Array {
    this.#begin("read", call);
    this.#log(topic, origin);
    this.#to.f64(from);
    this.#to.f64(limits.messages);
    this.#to.f64(limits.bytes);
    return this.#end();
  }

  peekFifo(call: number, queue: string): Uint8Array {
    this.#begin("peekFifo", call);
    this.#to.text(queue);
    return this.#end();
  }

  plain(op: "heads" | "peerSyncStates" | "check" | "stats" | "close", call: number): Uint8Array {
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
    const to = this.#to;
    const known = this.#logs.get(message.topic, message.origin);
    to.u32(known ?? this.#logs.size);
    if (known === undefined) {
      this.#logs.set(message.topic, message.origin, this.#logs.size);
      this.#log(message.topic, message.origin);
    }
    writeId(to, message.id);
    to.f64(message.createdAtMs);
    to.bytes(message.payload);
    to.bytes(message.headers);
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
      case "enqueueFifo":
        return write({ op, call, bytes, entry: readFifoEntry(from) });
      case "ackFifo":
      case "rejectFifo":
        return write({ op, call, bytes, queue: from.text(), id: readStoredId(from) });
      case "recordPeerSyncState":
        return write({ op, call, bytes, state: readPeerSyncState(from) });
      case "read": {
        const log = readLog(from);
        const first = from.f64();
        return read({ op, call, ...log, from: first, limits: { messages: from.f64(), bytes: from.f64() } });
      }
      case "peekFifo":
        return read({ op, call, queue: from.text() });
      case "heads":
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
    const number = from.u32();
    let log = this.#logs[number];
    if (log === undefined) {
      const { topic, origin } = readLog(from);
      log = this.#tables.tail(topic, origin);
      this.#logs.push(log);
    }
    return {
      log,
      id: readStoredId(from),
      createdAtMs: from.f64(),
      payload: from.bytes(),
      headers: from.bytes(),
    };
  }
}

export function writeNode(to: ByteWriter, node: NodeName): void {
  to.text(node.tenantId);
  to.text(node.blName);
  to.text(node.deviceId);
}

export function readNode(from: ByteReader): NodeName {
  return { tenantId: from.text(), blName: from.text(), deviceId: from.text() };
}

export function writePeerSyncState(to: ByteWriter, state: PeerSyncState): void {
  to.text(state.peer);
  to.text(state.topic);
  writeNode(to, state.origin);
  to.f64(state.localHead);
  to.f64(state.remoteHead);
  to.f64(state.lastSyncedHead);
  to.f64(state.lastAttemptAtMs);
  to.f64(state.lastSuccessAtMs);
  to.f64(state.consecutiveFailures);
  to.text(state.lastError);
}

export function readPeerSyncState(from: ByteReader): PeerSyncState {
  return {
    peer: from.text(),
    topic: from.text(),
    origin: readNode(from),
    localHead: from.f64(),
    remoteHead: from.f64(),
    lastSyncedHead: from.f64(),
    lastAttemptAtMs: from.f64(),
    lastSuccessAtMs: from.f64(),
    consecutiveFailures: from.f64(),
    lastError: from.text(),
  };
}

function readLog(from: ByteReader): { topic: string; origin: NodeName } {
  return { topic: from.text(), origin: readNode(from) };
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
