import type { FifoMessage, LogHead, NodeName, PeerSyncState, Store } from "../store/store.ts";
import { Admission } from "./admission.ts";
import { encodeDeleteMarker } from "./delete_marker.ts";
import { BusError, toBusError } from "./error.ts";
import { FifoQueues } from "./fifo_queues.ts";
import { type BusLimits, DEFAULT_BUS_LIMITS, DEFAULT_FETCH_LIMIT, MAX_FETCH_LIMIT } from "./limits.ts";
import type { Log } from "./log.ts";
import { Logs } from "./logs.ts";
import { Message } from "./message.ts";
import {
  checkName,
  checkNode,
  DELETE_TOPIC,
  formatNode,
  RESERVED_TOPIC_PREFIX,
  resolveNode,
} from "./names.ts";
import { Publisher } from "./publisher.ts";
import type {
  DeleteRangeRequest,
  EnqueueFifoRequest,
  FetchRequest,
  PublishRequest,
  RequestNode,
  SubscribeRequest,
} from "./requests.ts";
import type { Subscription } from "./subscription.ts";
import { UuidGenerator } from "./uuid.ts";

/** What a bus is made of. */
export interface BusOptions {
  /** Opened by the caller, who closes it after the bus. */
  readonly store: Store;
  /** The local node. */
  readonly node: NodeName;
  /** Milliseconds since the Unix epoch. */
  readonly clock: () => number;
  /** Fills the array with random bytes. */
  readonly random: (into: Uint8Array<ArrayBuffer>) => void;
  /** Those left out have their defaults. */
  readonly limits?: Partial<BusLimits>;
}

/** Whether the bus can serve; see {@link Bus.ready}. */
export type Readiness = { readonly ready: true } | { readonly ready: false; readonly error: string };

const NO_BYTES = new Uint8Array();

/**
 * The message bus of one node: every rule about topics, logs, subscriptions and queues.
 *
 * Every failure is a {@link BusError}. Methods that return a promise reject and never throw; `head`, `fetch` and
 * `subscribe` throw at once when the request is wrong. A closing bus answers "unavailable", a failed store "internal".
 */
export class Bus {
  readonly node: NodeName;
  readonly limits: BusLimits;
  readonly #store: Store;
  readonly #clock: () => number;
  readonly #uuids: UuidGenerator;
  readonly #logs: Logs;
  readonly #admission: Admission;
  readonly #publisher: Publisher;
  readonly #fifo: FifoQueues;
  #closed: Promise<void> | undefined;

  private constructor(options: BusOptions, limits: BusLimits, logs: Logs) {
    this.node = options.node;
    this.limits = limits;
    this.#store = options.store;
    this.#clock = options.clock;
    this.#uuids = new UuidGenerator(options.random);
    this.#logs = logs;
    this.#admission = new Admission(limits);
    this.#publisher = new Publisher(options.store, logs, this.#admission);
    this.#fifo = new FifoQueues(options.store, options.node, this.#admission);
  }

  /** Loads the heads of all logs. Fails with invalid_argument when the node's name is invalid. */
  static async open(options: BusOptions): Promise<Bus> {
    checkNode(options.node, "node");
    const limits = { ...DEFAULT_BUS_LIMITS, ...options.limits };
    try {
      return new Bus(options, limits, await Logs.load(options.store, limits));
    } catch (error) {
      throw toBusError("open the bus", error);
    }
  }

  /**
   * Appends a message to a log of the local node. Settles when it is durable; then subscribers have been woken.
   *
   * Fails with invalid_argument, permission_denied (another node's log, a reserved topic), or resource_exhausted
   * (too large, too much waiting for the disk, disk full).
   */
  publish(request: PublishRequest): Promise<Message> {
    const { topic, payload, headers } = request;
    try {
      this.#admission.checkOpen("publish");
      // A topic that has messages was checked when it got its first one.
      if (!((this.#logs.get(topic, this.node)?.head ?? 0) > 0)) checkName(topic, "topic");
      this.#checkWritable("publish to", topic, request.origin);
      this.#admission.checkSize("publish", payload, headers);
    } catch (error) {
      return Promise.reject(error);
    }
    const now = this.#now();
    return this.#publisher.publish(topic, this.node, this.#uuids.next(now), now, payload, headers);
  }

  /** The newest head of a log; undefined when it does not exist. */
  head(topic: string, origin?: RequestNode): number | undefined {
    this.#admission.checkOpen("read a head");
    const head = this.#find(topic, origin)?.head ?? 0;
    return head > 0 ? head : undefined;
  }

  /** Every log with at least one message, in no particular order. */
  heads(): readonly LogHead[] {
    this.#admission.checkOpen("list heads");
    return this.#logs.heads();
  }

  /**
   * The stored messages from a head on, in pages, up to the log's head at the time of the call or the limit. Deleted
   * ones are in their place. Nothing for a log that does not exist. Each iteration reads anew.
   */
  fetch(request: FetchRequest): AsyncIterable<readonly Message[]> {
    this.#admission.checkOpen("fetch");
    const log = this.#find(request.topic, request.origin);
    const from = Math.max(1, request.fromHeadId);
    const last = Math.min(log?.head ?? 0, from + servedLimit(request.limit) - 1);
    return { [Symbol.asyncIterator]: () => this.#pages(log, from, last) };
  }

  /**
   * Follows a log: everything stored from a head on, then live. The log need not exist yet, the head may lie in the
   * future: then the first message is the one with that head. To be closed by the caller.
   */
  subscribe(request: SubscribeRequest): Subscription {
    this.#admission.checkOpen("subscribe");
    const { topic } = request;
    checkName(topic, "topic");
    const origin = resolveNode(request.origin, this.node, "origin");
    const from = Math.max(1, request.fromHeadId);
    return this.#logs.subscribe(topic, origin, from, servedLimit(request.pageSize));
  }

  /**
   * Erases payload and headers of the stored messages in a range and leaves a marker for the peers, which arrives as a
   * message of the topic `$msgbus.delete`. Settles with the number of messages newly marked; without any message in
   * the range it is 0 and there is no marker.
   *
   * Fails with invalid_argument (also when from > to), permission_denied (another node's log, a reserved topic), or
   * resource_exhausted (disk full: nothing was applied, or, as the text then says, the bytes are still to be erased).
   */
  async deleteRange(request: DeleteRangeRequest): Promise<number> {
    const { topic } = request;
    this.#admission.checkOpen("delete");
    checkName(topic, "topic");
    this.#checkWritable("delete from", topic, request.origin);
    const from = Math.max(1, request.fromHeadId);
    if (from > request.toHeadId) {
      throw new BusError(
        "invalid_argument",
        `Cannot delete: from_head_id ${from} is beyond to_head_id ${request.toHeadId}; swap them`,
        { field: "from_head_id" },
      );
    }
    const log = this.#logs.get(topic, this.node);
    // Never beyond the head: the marker would delete messages at the peers that are yet to be published here.
    const to = Math.min(request.toHeadId, log?.head ?? 0);
    if (log === undefined || from > to) return 0;
    return await this.#deleteStored(log, from, to);
  }

  /**
   * Puts a message at the end of a queue. Settles when it is durable.
   *
   * Fails with invalid_argument or resource_exhausted (too large, too much waiting for the disk, disk full).
   */
  async enqueueFifo(request: EnqueueFifoRequest): Promise<FifoMessage> {
    const now = this.#now();
    return await this.#fifo.enqueue(request, this.#uuids.next(now), now);
  }

  /** The message in front of a queue. Fails with not_found when there is none. */
  async peekFifo(queue: string): Promise<FifoMessage> {
    return await this.#fifo.peek(queue);
  }

  /** Removes the front message if it has this id; false, and nothing changed, otherwise. */
  async ackFifo(queue: string, messageId: string): Promise<boolean> {
    return await this.#fifo.ack(queue, messageId);
  }

  /** Adds 1 to the attempts of the front message if it has this id; false, and nothing changed, otherwise. */
  async rejectFifo(queue: string, messageId: string): Promise<boolean> {
    return await this.#fifo.reject(queue, messageId);
  }

  /** What is known about copying from peers, ordered by peer, topic and origin. */
  async peerSyncStates(): Promise<readonly PeerSyncState[]> {
    this.#admission.checkOpen("list peer sync states");
    try {
      return await this.#store.peerSyncStates();
    } catch (error) {
      throw toBusError("list peer sync states", error);
    }
  }

  /** Whether the bus is open and its store answers and still accepts writes. Never rejects. */
  async ready(): Promise<Readiness> {
    try {
      this.#admission.checkOpen("serve");
      await this.#store.check();
      return { ready: true };
    } catch (error) {
      return { ready: false, error: toBusError("serve", error).message };
    }
  }

  /** Refuses new calls, lets accepted ones settle, then ends the subscriptions. Idempotent. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    await this.#admission.close();
    this.#logs.disconnect();
  }

  async #deleteStored(log: Log, from: number, to: number): Promise<number> {
    this.#publisher.flush(); // calls reach the store in the order in which they were made
    const now = this.#now();
    const marker = {
      topic: DELETE_TOPIC,
      origin: this.node,
      id: this.#uuids.next(now),
      createdAtMs: now,
      payload: encodeDeleteMarker(log.topic, this.node, from, to, now),
      headers: NO_BYTES,
    };
    this.#admission.enter(0);
    try {
      const deletion = await this.#store.deleteRange(log.topic, this.node, from, to, marker);
      log.markDeleted(from, to);
      const { id, payload } = marker;
      const { headId, sequence } = deletion.marker;
      const markers = this.#logs.getOrAdd(DELETE_TOPIC, this.node);
      markers.commit(
        new Message(DELETE_TOPIC, this.node, headId, sequence, id, now, payload, NO_BYTES, false),
      );
      markers.wake();
      if (!deletion.erased) {
        throw new BusError(
          "resource_exhausted",
          `Cannot erase from "${log.topic}": the messages are deleted, but the node has no space to erase their bytes; ` +
            "it keeps trying: free some space",
        );
      }
      return deletion.deletedCount;
    } catch (error) {
      throw toBusError(`delete from "${log.topic}"`, error);
    } finally {
      this.#admission.exit(0);
    }
  }

  async *#pages(log: Log | undefined, from: number, last: number): AsyncGenerator<readonly Message[]> {
    while (log !== undefined && from <= last) {
      this.#admission.checkOpen("fetch");
      const count = Math.min(this.limits.pageMessages, last - from + 1);
      const page = await log.storedPage(from, count, this.limits.pageBytes);
      from += page.length;
      yield page;
    }
  }

  #find(topic: string, origin: RequestNode): Log | undefined {
    checkName(topic, "topic");
    return this.#logs.get(topic, resolveNode(origin, this.node, "origin"));
  }

  #checkWritable(action: string, topic: string, origin: RequestNode): void {
    const node = resolveNode(origin, this.node, "origin");
    if (node !== this.node) {
      throw new BusError(
        "permission_denied",
        `Cannot ${action} "${topic}" of ${formatNode(node)}: this node is ${
          formatNode(this.node)
        }; ask that node`,
        { field: "origin" },
      );
    }
    if (topic.startsWith(RESERVED_TOPIC_PREFIX)) {
      throw new BusError(
        "permission_denied",
        `Cannot ${action} "${topic}": topics that begin with ${RESERVED_TOPIC_PREFIX} are reserved; use another`,
        { field: "topic" },
      );
    }
  }

  #now(): number {
    return Math.trunc(this.#clock());
  }
}

function servedLimit(limit: number): number {
  return limit === 0 ? DEFAULT_FETCH_LIMIT : Math.min(limit, MAX_FETCH_LIMIT);
}
