import type {
  ArchivedLog,
  FifoMessage,
  LogHead,
  NodeName,
  PeerCursor,
  PeerSyncState,
  Store,
} from "../store/store.ts";
import { Admission } from "./admission.ts";
import { BatchPublisher } from "./batch_publisher.ts";
import type { Consumer } from "./consumer.ts";
import { type Cursor, formatCursor, isKnown } from "./cursor.ts";
import { DeletionLine } from "./deletion_line.ts";
import { BusError, toBusError } from "./error.ts";
import { FifoForwarding } from "./fifo_forwarding.ts";
import { FifoQueues } from "./fifo_queues.ts";
import {
  type BusLimits,
  DEFAULT_BUS_LIMITS,
  DEFAULT_FETCH_LIMIT,
  MAX_EPOCH,
  MAX_FETCH_LIMIT,
} from "./limits.ts";
import type { Log } from "./log.ts";
import { Logs } from "./logs.ts";
import { Message } from "./message.ts";
import {
  checkKey,
  checkName,
  checkNode,
  checkNotReserved,
  DELETE_TOPIC,
  formatNode,
  resolveNode,
} from "./names.ts";
import { Publisher } from "./publisher.ts";
import { RangeDeleter } from "./range_deleter.ts";
import { Replicator } from "./replicator.ts";
import type {
  ConsumeRequest,
  DeleteRangeRequest,
  EnqueueFifoRequest,
  FetchRequest,
  OpenProducerRequest,
  Producer,
  PublishBatchRequest,
  PublishOutcome,
  PublishRequest,
  ReplicateRequest,
  RequestNode,
  SubscribeRequest,
} from "./requests.ts";
import type { Subscription } from "./subscription.ts";
import { systemTimer, type Timer } from "./timer.ts";
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
  /** The runtime's where absent. */
  readonly timer?: Timer;
  /** Those left out have their defaults. */
  readonly limits?: Partial<BusLimits>;
}

/** Whether the bus can serve; see {@link Bus.ready}. */
export type Readiness = { readonly ready: true } | { readonly ready: false; readonly error: string };

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
  readonly #timer: Timer;
  readonly #uuids: UuidGenerator;
  readonly #logs: Logs;
  readonly #admission: Admission;
  readonly #publisher: Publisher;
  readonly #batches: BatchPublisher;
  readonly #deleter: RangeDeleter;
  readonly #fifo: FifoQueues;
  readonly #forwarding: FifoForwarding;
  readonly #replicator: Replicator;
  #closed: Promise<void> | undefined;

  private constructor(options: BusOptions, limits: BusLimits, logs: Logs) {
    this.node = options.node;
    this.limits = limits;
    this.#store = options.store;
    this.#clock = options.clock;
    this.#timer = options.timer ?? systemTimer;
    this.#uuids = new UuidGenerator(options.random);
    this.#logs = logs;
    this.#admission = new Admission(limits);
    this.#publisher = new Publisher(options.store, logs, this.#admission);
    this.#batches = new BatchPublisher({
      store: options.store,
      node: options.node,
      logs,
      admission: this.#admission,
      uuids: this.#uuids,
      now: () => this.#now(),
      flush: () => this.#publisher.flush(),
    });
    const line = new DeletionLine(limits);
    this.#deleter = new RangeDeleter({
      store: options.store,
      node: options.node,
      logs,
      admission: this.#admission,
      line,
      limits,
      uuids: this.#uuids,
      now: () => this.#now(),
      flush: () => this.#publisher.flush(),
    });
    this.#forwarding = new FifoForwarding({
      node: options.node,
      logs,
      publisher: this.#publisher,
      uuids: this.#uuids,
      now: () => this.#now(),
      timer: this.#timer,
      deleteStored: (log, from, to) => this.#deleter.delete(log, from, to),
    });
    this.#fifo = new FifoQueues(options.store, options.node, this.#admission, this.#forwarding);
    const { store, node } = options;
    this.#replicator = new Replicator(store, node, logs, this.#admission, this.#forwarding, line, limits);
  }

  /** Loads the heads of all logs. Fails with invalid_argument when the node's name is invalid. */
  static async open(options: BusOptions): Promise<Bus> {
    checkNode(options.node, "node");
    const limits = { ...DEFAULT_BUS_LIMITS, ...options.limits };
    try {
      const bus = new Bus(options, limits, await Logs.load(options.store, options.node, limits));
      bus.#forwarding.start();
      return bus;
    } catch (error) {
      throw toBusError("open the bus", error);
    }
  }

  /**
   * Appends a message to a log of the local node. Settles when it is durable; then subscribers have been woken. Where a
   * message was stored with the same topic and key before, it settles with that one, possibly deleted since.
   *
   * Fails with invalid_argument, permission_denied (another node's log, a reserved topic), resource_exhausted (too large,
   * too much waiting for the disk, disk full), or failed_precondition (another message has this key).
   */
  publish(request: PublishRequest): Promise<Message> {
    const { topic, payload, headers, key } = request;
    try {
      this.#admission.checkOpen("publish");
      // A topic that has messages was checked when it got its first one.
      if (!((this.#logs.get(topic, this.node)?.head ?? 0) > 0)) checkName(topic, "topic");
      this.#checkWritable("publish to", topic, request.origin);
      if (key !== undefined) checkKey(key);
      this.#admission.checkSize("publish", payload, headers);
    } catch (error) {
      return Promise.reject(error);
    }
    const now = this.#now();
    return this.#publisher.publish(topic, this.node, this.#uuids.next(now), now, payload, headers, key);
  }

  /**
   * Begins to publish as a producer, whose messages are stored once each, and settles when its epoch is durable. Epoch 0
   * takes over with the next one, so does one above the known one, and the known one goes on.
   *
   * Fails with invalid_argument, and with failed_precondition for an epoch below the known one.
   */
  async openProducer({ id, epoch, owner = "" }: OpenProducerRequest): Promise<Producer> {
    checkName(id, "producer.id");
    if (epoch > MAX_EPOCH) {
      throw new BusError(
        "invalid_argument",
        `Cannot use producer.epoch: ${epoch} is more than ${MAX_EPOCH}; count from 1 on`,
        { field: "producer.epoch" },
      );
    }
    const name = { owner, id };
    return {
      ...name,
      ...await this.#stored("publish", () => this.#store.openProducer(name, epoch, this.#now())),
    };
  }

  /**
   * Appends messages to logs of the local node, in order; settles when all of them are durable or refused. One that is
   * refused, as {@link publish} would, stops none of the others. Where too much waits for the disk, it waits in turn
   * with other batches until there is room.
   *
   * A message with a key, or with a sequence of a producer, that was stored before is answered with that one; it is
   * refused with failed_precondition where that one differs, or the sequence is too old to know, see `Store.appendOnce`.
   *
   * The outcomes are in the order of the messages, and each message belongs to one. Rejects, with nothing stored, with
   * "unavailable" when the bus closes, with the signal's reason when that aborts before there was room, and with
   * resource_exhausted when as much waits for room already as there is. Where the producer was taken over by a higher
   * epoch, it rejects with failed_precondition; what stands in front of a refused message may be stored then.
   */
  publishBatch(request: PublishBatchRequest, signal?: AbortSignal): Promise<readonly PublishOutcome[]> {
    return this.#batches.publish(request, signal);
  }

  /** The newest head of a log; undefined when it does not exist. */
  head(topic: string, origin?: RequestNode): number | undefined {
    this.#admission.checkOpen("read a head");
    const head = this.#find(topic, origin)?.head ?? 0;
    return head > 0 ? head : undefined;
  }

  /** Every log with at least one message, in no particular order. Those of this node have its incarnation. */
  heads(): readonly LogHead[] {
    this.#admission.checkOpen("list heads");
    const { incarnation } = this;
    return this.#logs.heads().map((head) => head.origin === this.node ? { ...head, incarnation } : head);
  }

  /** The id of the node's data directory; it never changes. */
  get incarnation(): string {
    return this.#store.incarnation;
  }

  /** One log with its head; its head is 0 when it does not exist. */
  logHead(topic: string, origin: NodeName): LogHead {
    const log = this.#logs.get(topic, resolveNode(origin, this.node, "origin"));
    if (log === undefined) return { topic, origin, headId: 0, sequence: 0, incarnation: "" };
    const incarnation = log.origin === this.node ? this.incarnation : log.incarnation;
    return { topic, origin: log.origin, headId: log.head, sequence: log.sequence, incarnation };
  }

  /** Calls back whenever messages of a log were committed, until the returned function is called. */
  watchHeads(changed: (topic: string, origin: NodeName) => void): () => void {
    return this.#logs.watch(({ topic, origin }) => changed(topic, origin));
  }

  /** The sequence of the newest committed message over all logs of this node; 0 when there is none. */
  get sequence(): number {
    return this.#logs.sequence;
  }

  /** The place at a sequence that this bus has told of: 0, that of a message, or {@link sequence}. */
  placeAt(sequence: number): Cursor {
    return { incarnation: this.incarnation, sequence, opening: this.#store.openingOf(sequence) };
  }

  /** Whether the messages up to a place are those that there were when the place was told. Fails when the store does. */
  async knows(place: Cursor): Promise<boolean> {
    return await this.#stored("look a place up", () => isKnown(place, this.#store));
  }

  /**
   * Stores messages of another node's log, and settles with the log's head when they are durable; then subscribers have
   * been woken. Messages that are stored already change nothing. Messages of the local node are only compared.
   *
   * Fails with a ConflictError (failed_precondition) when a message differs from the one that is stored, with
   * failed_precondition when messages before them are missing or a delete marker is none of their origin's, with
   * invalid_argument or resource_exhausted. Then nothing was changed; but where delete markers delete more than
   * `limits.deletedHeads` or `deletedBytes` together, they are stored in slices, and those before the one that failed are;
   * of one that deletes more by itself, a part may be erased before it is stored.
   */
  replicate(request: ReplicateRequest): Promise<number> {
    return this.#replicator.replicate(request);
  }

  /**
   * Sets a log aside and settles with its name from then on: a log of this topic and origin begins anew. Subscriptions
   * of it end. With delete markers, what they would have deleted of messages yet to arrive is forgotten. Fails with
   * failed_precondition when there is no such log.
   */
  async archive(topic: string, origin: NodeName): Promise<string> {
    const log = this.#logs.get(topic, resolveNode(origin, this.node, "origin"));
    log?.leaving(true);
    try {
      return await this.#stored(`set "${topic}" aside`, async () => {
        const name = await this.#store.archive(topic, origin, topic === DELETE_TOPIC);
        log?.clear(); // straight from the answer: what is published meanwhile is of the log that begins anew
        return name;
      });
    } finally {
      log?.leaving(false);
    }
  }

  /** The logs that were set aside. */
  async archivedLogs(): Promise<readonly ArchivedLog[]> {
    return await this.#stored("list the logs set aside", () => this.#store.archivedLogs());
  }

  /** Like {@link fetch}, of a log that was set aside under this name. Nothing for one that does not exist. */
  async *fetchArchived(request: FetchRequest, name: string): AsyncGenerator<readonly Message[]> {
    checkName(request.topic, "topic");
    const { topic } = request;
    const origin = resolveNode(request.origin, this.node, "origin");
    let from = Math.max(1, request.fromHeadId);
    for (let left = servedLimit(request.limit); left > 0;) {
      const limits = { messages: Math.min(left, this.limits.pageMessages), bytes: this.limits.pageBytes };
      const page = await this.#stored(
        `read "${topic}"`,
        () => this.#store.readArchived(topic, origin, name, from, limits),
      );
      if (page.length === 0) return;
      from += page.length;
      left -= page.length;
      yield page.map(({ headId, sequence, id, createdAtMs, payload, headers, deleted }) =>
        new Message(topic, origin, headId, sequence, id, createdAtMs, payload, headers, deleted)
      );
    }
  }

  /** What was recorded last of a peer as a whole. */
  async peerCursor(peer: string): Promise<PeerCursor | undefined> {
    return await this.#stored("read a peer's cursor", () => this.#store.peerCursor(peer));
  }

  /** Keeps what is known of a peer. Settles when it is durable. */
  async recordPeerSync(states: readonly PeerSyncState[], cursor?: PeerCursor): Promise<void> {
    await this.#stored("keep a peer's state", () => this.#store.recordPeerSync(states, cursor));
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
   * Reads the messages of all logs that match, in the order in which this node stored them, then follows them live. Logs
   * need not exist yet. To be closed by the caller.
   *
   * Fails with invalid_argument, and with failed_precondition for a cursor of another data directory, or of one whose
   * later messages are gone.
   */
  async consume(request: ConsumeRequest): Promise<Consumer> {
    this.#admission.checkOpen("consume");
    // Now, and not when everything that follows was waited for.
    const newest = this.#logs.sequence;
    // Loaded with the first one: a daemon that nobody consumes from should not hold it in memory.
    const { openConsumer } = await import("./open_consumer.ts");
    return await openConsumer(request, {
      store: this.#store,
      node: this.node,
      logs: this.#logs,
      newest,
      timer: this.#timer,
      stored: (action, call) => this.#stored(action, call),
    });
  }

  /** What a consumer that has looked at everything up to a sequence can begin from later. */
  cursorAt(sequence: number): string {
    return formatCursor(this.placeAt(sequence));
  }

  /**
   * Erases payload and headers of the stored messages in a range and leaves markers for the peers, which arrive as
   * messages of the topic `$msgbus.delete`. Settles with the number of messages newly marked; without any message in
   * the range it is 0 and there is no marker.
   *
   * A long range goes in slices of `limits.deletedHeads` and `deletedBytes`, each marked in one transaction with a marker
   * of its own; other calls have their turn in between. It goes on to its end although nobody waits for it any more, as every write does.
   *
   * Fails with invalid_argument (also when from > to), permission_denied (another node's log, a reserved topic),
   * resource_exhausted (disk full: nothing was applied, or, as the text then says, the bytes are still to be erased), or
   * unavailable (the bus closes, or the log was set aside). Where slices were done before that, the text says which heads
   * are deleted; to call again for the whole range deletes the rest.
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
    return await this.#deleter.delete(log, from, to);
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
    return await this.#stored("list peer sync states", () => this.#store.peerSyncStates());
  }

  /** Whoever has the bus itself may do everything. */
  requireGrant(_grant: "sync" | "admin", _action: string): void {}

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
    this.#forwarding.close();
    await this.#admission.close();
    this.#logs.disconnect();
  }

  /** Calls the store for somebody, whom a closing bus refuses and waits for. */
  async #stored<T>(action: string, call: () => Promise<T>): Promise<T> {
    this.#admission.checkOpen(action);
    this.#admission.enter(0);
    try {
      return await call();
    } catch (error) {
      throw toBusError(action, error);
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
    checkNotReserved(action, topic);
  }

  /** Whole milliseconds since the Unix epoch; a clock before that stands at it, since times have no sign on the wire. */
  #now(): number {
    return Math.max(0, Math.trunc(this.#clock()));
  }
}

function servedLimit(limit: number): number {
  return limit === 0 ? DEFAULT_FETCH_LIMIT : Math.min(limit, MAX_FETCH_LIMIT);
}
