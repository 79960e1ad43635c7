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
import { ByteWriter } from "./byte_writer.ts";
import { writeId } from "./message_id.ts";
import { writeNode } from "./node_encoding.ts";
import { writePeerCursor, writePeerSyncState } from "./peer_encoding.ts";
import { type Op, OPS, type PlainOp } from "./request.ts";

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
