import { LogMap } from "../log_map.ts";
import { MessageWriter, requireHeaders } from "../message_codec.ts";
import { firstHeadOf } from "../replication.ts";
import type {
  AppendingProducer,
  LogName,
  NewFifoMessage,
  NewMessage,
  NodeName,
  OnceMessage,
  PeerCursor,
  PeerSyncState,
  ProducerName,
  ReadLimits,
  ReplicatedBatch,
  SequenceFilter,
} from "../store.ts";
import { ByteWriter } from "./byte_writer.ts";
import { type Chunk, ChunkWriter } from "./chunk.ts";
import { writeId } from "./message_id.ts";
import { writeNode } from "./node_encoding.ts";
import { writePeerCursor, writePeerSyncState } from "./peer_encoding.ts";
import { type Op, OPS, type PlainOp } from "./request.ts";
import { SentLists } from "./sent_lists.ts";

/** Encodes requests as frames. The encoded bytes are valid until the next request. */
export class RequestWriter {
  readonly #to = new ByteWriter();
  /** Logs of appended and copied messages by the order of their first use: their names cross the link once. */
  readonly #logs = new LogMap<number>();
  readonly #lists = new SentLists();
  readonly #chunks = new ChunkWriter((chunk) => this.#chunk(chunk));
  /** Whose messages `#chunks` takes. */
  #topic = "";
  #origin: NodeName | undefined;
  readonly #messages = new MessageWriter();

  /** Throws TypeError for headers that are none, see NewMessage. */
  append(call: number, batch: readonly NewMessage[]): Uint8Array {
    for (const { headers } of batch) requireHeaders(headers); // before anything is known to have been sent
    this.#begin("append", call);
    this.#batch(batch);
    return this.#end();
  }

  /** Throws like {@link append}. */
  appendOnce(
    call: number,
    batch: readonly OnceMessage[],
    producer: AppendingProducer | undefined,
  ): Uint8Array {
    for (const { headers } of batch) requireHeaders(headers);
    const to = this.#to;
    this.#begin("appendOnce", call);
    to.f64(batch[0]?.createdAtMs ?? 0);
    to.text(producer?.owner ?? "");
    to.text(producer?.id ?? "");
    to.f64(producer?.epoch ?? 0);
    to.f64(producer?.firstSequence ?? 0);
    for (let at = 0; at < batch.length; at++) {
      const key = batch[at]?.key;
      if (key === undefined) continue;
      to.u8(1);
      to.u32(at);
      to.text(key);
    }
    to.u8(0);
    this.#batch(batch);
    return this.#end();
  }

  openProducer(call: number, { owner, id }: ProducerName, epoch: number, nowMs: number): Uint8Array {
    this.#begin("openProducer", call);
    this.#to.text(owner);
    this.#to.text(id);
    this.#to.f64(epoch);
    this.#to.f64(nowMs);
    return this.#end();
  }

  /** Throws like {@link append}. */
  deleteRange(
    call: number,
    topic: string,
    origin: NodeName,
    from: number,
    to: number,
    marker: NewMessage,
  ): Uint8Array {
    requireHeaders(marker.headers);
    this.#begin("deleteRange", call);
    this.#logName(topic, origin);
    this.#to.f64(from);
    this.#to.f64(to);
    this.#chunks.clear();
    this.#message(marker);
    this.#chunks.end();
    return this.#end();
  }

  eraseRange(
    call: number,
    topic: string,
    origin: NodeName,
    from: number,
    to: number,
    incarnation: string,
  ): Uint8Array {
    this.#begin("eraseRange", call);
    this.#logName(topic, origin);
    this.#to.f64(from);
    this.#to.f64(to);
    this.#to.text(incarnation);
    return this.#end();
  }

  extent(
    call: number,
    topic: string,
    origin: NodeName,
    from: number,
    to: number,
    most: number,
  ): Uint8Array {
    this.#begin("extent", call);
    this.#logName(topic, origin);
    this.#to.f64(from);
    this.#to.f64(to);
    this.#to.f64(most);
    return this.#end();
  }

  /** Throws StoreError when the heads of the batch do not follow one another, and like {@link append}. */
  replicate(call: number, batch: ReplicatedBatch): Uint8Array {
    const { topic, origin, incarnation, messages, deletes, enqueues } = batch;
    const firstHead = firstHeadOf(batch);
    for (const { headers } of messages) requireHeaders(headers);
    const to = this.#to;
    this.#begin("replicate", call);
    this.#knownLog(topic, origin);
    to.text(incarnation);
    to.f64(firstHead);
    to.f64(messages.find(({ deleted }) => deleted)?.headId ?? 0);
    to.u32(messages.length);
    this.#messages.clear();
    for (const { id, createdAtMs, payload, headers, deleted } of messages) {
      this.#messages.add(id, createdAtMs, payload, headers, deleted);
    }
    to.bytes(this.#messages.written);
    to.u32(deletes.length);
    for (const range of deletes) {
      this.#knownLog(range.topic, origin);
      to.f64(range.from);
      to.f64(range.to);
      to.f64(range.erasedTo ?? 0);
    }
    to.u32(enqueues.length);
    for (const { headId, message } of enqueues) {
      to.f64(headId);
      this.#fifoMessage(message);
    }
    return this.#end();
  }

  archive(call: number, topic: string, origin: NodeName, forgetDeletes: boolean): Uint8Array {
    this.#begin("archive", call);
    this.#logName(topic, origin);
    this.#to.u8(forgetDeletes ? 1 : 0);
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
    this.#logName(topic, origin);
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
    this.#logName(topic, origin);
    this.#to.text(name);
    this.#pageStart(from, limits);
    return this.#end();
  }

  readAll(call: number, from: number, filter: SequenceFilter, limits: ReadLimits): Uint8Array {
    const { only, except, skipDeleted = false, createdFromMs } = filter;
    this.#begin("readAll", call);
    this.#pageStart(from, limits);
    this.#list(only);
    this.#list(except);
    this.#to.u8(skipDeleted ? 1 : 0);
    this.#to.u8(createdFromMs === undefined ? 0 : 1);
    if (createdFromMs !== undefined) this.#to.f64(createdFromMs);
    return this.#end();
  }

  named(op: "lastOf" | "peekFifo" | "peerCursor", call: number, name: string): Uint8Array {
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

  #batch(batch: readonly NewMessage[]): void {
    this.#chunks.clear();
    for (const message of batch) this.#message(message);
    this.#chunks.end();
  }

  #message(message: NewMessage): void {
    const { topic, origin } = message;
    if (topic !== this.#topic || origin !== this.#origin) {
      this.#chunks.end();
      this.#topic = topic;
      this.#origin = origin;
    }
    this.#chunks.add(message);
  }

  #chunk({ count, contentBytes, messages }: Chunk): void {
    if (this.#origin !== undefined) this.#knownLog(this.#topic, this.#origin);
    this.#to.u32(count);
    this.#to.u32(contentBytes);
    this.#to.bytes(messages);
  }

  #list(list: readonly LogName[] | undefined): void {
    if (list === undefined) return this.#to.u32(0);
    const { at, isNew } = this.#lists.place(list);
    this.#to.u32(at + 1);
    this.#to.u8(isNew ? 1 : 0);
    if (!isNew) return;
    this.#to.u32(list.length);
    for (const { topic, origin } of list) this.#logName(topic, origin);
  }

  #fifoMessage(message: NewFifoMessage): void {
    const to = this.#to;
    to.text(message.queue);
    writeId(to, message.id);
    this.#logName(message.topic, message.source);
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
    this.#logName(topic, origin);
  }

  #logName(topic: string, origin: NodeName): void {
    this.#to.text(topic);
    writeNode(this.#to, origin);
  }
}
