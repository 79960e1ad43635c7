import { MsgbusService } from "@msgbus/proto";
import { ForkDecision as WireForkDecision, SyncService } from "@msgbus/proto/sync";
import type { CallOptions } from "./call_options.ts";
import type { ClientOptions } from "./client_options.ts";
import { type ConsumeFrom, ConsumeSource } from "./consume_source.ts";
import { ConsumeStream } from "./consume_stream.ts";
import { FetchSource } from "./fetch_source.ts";
import { FifoQueue } from "./fifo_queue.ts";
import type { ArchivedLog, ForkDecision, ResolvedFork, ResolveForkOptions } from "./fork.ts";
import { headToWire, numberFromWire } from "./head_number.ts";
import { SDK_LIMITS } from "./limits.ts";
import type { Message } from "./message.ts";
import { type MessageSource, MessageStream } from "./message_stream.ts";
import { type NodeId, nodeIdOf } from "./node_id.ts";
import type { Payload } from "./payload.ts";
import { Publisher, type PublishOptions } from "./publisher.ts";
import { Rpc } from "./rpc.ts";
import type { Reconnect } from "./reconnection.ts";
import { SubscribeSource } from "./subscribe_source.ts";
import { type PeerState, peerStateOf } from "./peer_state.ts";
import { type PeerSyncState, peerSyncStateOf } from "./peer_sync_state.ts";

/** Which log is meant. */
export interface LogOptions extends CallOptions {
  /** The daemon whose log of the topic is meant; the connected one where absent. */
  readonly origin?: NodeId;
}

/** Which stored messages to read. */
export interface FetchOptions extends LogOptions {
  /** First head wanted, from 1 on; default 1. */
  readonly from?: number;
  /** Most messages wanted; all that are stored where absent. */
  readonly limit?: number;
  /** The name of a log that was set aside ({@linkcode Client.archivedLogs}); the log in use where absent. */
  readonly archive?: string;
}

/** What to follow, and how. */
export interface SubscribeOptions {
  /** The daemon whose log of the topic is meant; the connected one where absent. */
  readonly origin?: NodeId;
  /** First head wanted, from 1 on, default 1; or "now": only what is published after this call. */
  readonly from?: number | "now";
  /** Messages that the daemon reads from its store at once, 1 to 10,000; default 1,000. */
  readonly pageSize?: number;
  /** Ends the stream, without an error. */
  readonly signal?: AbortSignal;
  /** Told before every wait for a new connection. */
  readonly onReconnect?: (reconnect: Reconnect) => void;
}

/** What to consume, and how. */
export interface ConsumeOptions {
  /** Only messages of these daemons; of all where absent. */
  readonly origins?: readonly NodeId[];
  /**
   * Where to begin: "oldest" (default), "newest" (only what is stored after this call), a head in each log, a time
   * (a Date or milliseconds since the Unix epoch, by the origins' clocks), or the cursor of an earlier stream.
   */
  readonly from?: ConsumeFrom;
  /** Whether deleted messages are left out, and not given without their payload; default false. */
  readonly skipDeleted?: boolean;
  /** Whether to go on with what is published later; default true. Otherwise the stream ends with what is stored. */
  readonly follow?: boolean;
  /** Ends the stream, without an error. */
  readonly signal?: AbortSignal;
  /** Told before every wait for a new connection. */
  readonly onReconnect?: (reconnect: Reconnect) => void;
}

/** Which messages to delete. */
export interface DeleteRangeOptions extends LogOptions {
  /** First head, from 1 on. */
  readonly from: number;
  /** Last head, itself included. */
  readonly to: number;
}

/** The last head of one log. */
export interface TopicHead {
  /** The log's topic. */
  readonly topic: string;
  /** The daemon it was published at. */
  readonly origin: NodeId;
  /** Its last head. */
  readonly headId: number;
  /** The data directory in which it was written; empty where it is unknown. */
  readonly incarnation: string;
}

/** What a daemon says of itself. */
export interface Health {
  /** "SERVING". */
  readonly status: string;
  /** Its name. */
  readonly node: NodeId;
  /** Its data directory: an id made once, when the directory was; empty where the daemon says none. */
  readonly incarnation: string;
}

const DECISIONS = {
  adopt: WireForkDecision.ADOPT,
  refuse: WireForkDecision.REFUSE,
} as const satisfies Record<ForkDecision, WireForkDecision>;

/** Whether a daemon's store answers. */
export interface Readiness {
  /** Whether it does. */
  readonly ready: boolean;
  /** "READY" or "NOT_READY". */
  readonly status: string;
  /** Why not; empty when ready. */
  readonly error: string;
  /** The daemon's name. */
  readonly node: NodeId;
  /**
   * What an acknowledgement of it promises: "full", the message outlives a loss of power; "normal", the end of the
   * process; "memory", nothing. Empty where the daemon does not say.
   */
  readonly durability: string;
}

/** A client of one daemon. It connects when it needs to and shares one connection between all calls. */
export class Client implements AsyncDisposable {
  readonly #rpc: Rpc;
  readonly #publisher: Publisher;
  readonly #sources = new Set<MessageSource>();

  /** Made by {@linkcode connect}. */
  constructor(target: string, options: ClientOptions) {
    this.#rpc = new Rpc(target, options);
    this.#publisher = new Publisher(this.#rpc);
  }

  /**
   * Appends a message to a topic and returns it as it is stored; settles when it is durable. Calls that overlap share
   * one stream of batches, which is many times faster than one after the other; messages are stored in the order of the
   * calls. After a loss of the connection, those that share a stream are sent again until `timeoutMs` is over, and
   * stored once; a message that was sent alone is not: after "UNAVAILABLE" or "DEADLINE_EXCEEDED" it may be stored or
   * not. With an `idempotencyKey` it can be published again then, by anybody, and is stored once. Throws MsgbusError ("RESOURCE_EXHAUSTED" where more than 64 MiB wait to be acknowledged), and TypeError for a
   * payload that is neither text, bytes nor JSON.
   */
  publish(topic: string, payload: Payload, options: PublishOptions = {}): Promise<Message> {
    return this.#publisher.publish(topic, payload, options);
  }

  /**
   * Reads stored messages in head order, deleted ones in their place, and ends with the last or at the limit. An
   * unknown topic has none. `timeoutMs` bounds each call of up to 10,000 messages; none where absent. Throws RangeError
   * for a bad range, and MsgbusError from the iteration.
   */
  fetch(topic: string, options: FetchOptions = {}): MessageStream {
    const { origin, from = 1, limit = Infinity, timeoutMs, archive = "", signal } = options;
    if (limit !== Infinity && !(Number.isSafeInteger(limit) && limit >= 0)) {
      throw new RangeError(`Cannot fetch ${limit} messages: give a whole number from 0 on`);
    }
    const range = { topic, origin, from: headToWire(from, "from"), limit, timeoutMs, archive };
    return this.#streamOf((over) => new FetchSource(this.#rpc, range, over), signal);
  }

  /**
   * Follows a topic: everything stored from `from` on, then what is published, in head order, each message once. After
   * a loss of the connection it connects anew and goes on where it was, as often as it takes. It ends by `close`, by
   * its signal, or with MsgbusError where the daemon refuses it. Throws RangeError for bad options.
   */
  subscribe(topic: string, options: SubscribeOptions = {}): MessageStream {
    const { origin, from = 1, pageSize = SDK_LIMITS.subscribePageMessages, signal, onReconnect } = options;
    if (from !== "now") headToWire(from, "from");
    if (!(Number.isSafeInteger(pageSize) && pageSize >= 1 && pageSize <= SDK_LIMITS.maxPageMessages)) {
      throw new RangeError(`Cannot use pageSize ${pageSize}: give 1 to ${SDK_LIMITS.maxPageMessages}`);
    }
    const range = { topic, origin, from, pageSize, onReconnect };
    return this.#streamOf((over) => new SubscribeSource(this.#rpc, range, over), signal);
  }

  /**
   * Reads the messages of all topics that match one of the patterns, of all daemons, in the order in which the connected
   * one stored them, then follows them live, each once. `a.*.b` stands for one level, `a.>` for one or more behind `a`;
   * with slashes `a/+/b` for one, `a/#` for any number. It connects anew after a loss and goes on where it was. It ends
   * by `close`, by its signal, or with MsgbusError where the daemon refuses it ("UNIMPLEMENTED" where it is too old).
   * Throws RangeError for bad options.
   */
  consume(patterns: string | readonly string[], options: ConsumeOptions = {}): ConsumeStream {
    const { origins = [], from = "oldest", skipDeleted = false, follow = true, signal, onReconnect } =
      options;
    const list = typeof patterns === "string" ? [patterns] : patterns;
    if (list.length === 0 || list.length > SDK_LIMITS.maxConsumePatterns) {
      throw new RangeError(
        `Cannot consume by ${list.length} patterns: give 1 to ${SDK_LIMITS.maxConsumePatterns}`,
      );
    }
    checkFrom(from);
    const range = { patterns: list, origins, from, skipDeleted, follow, onReconnect };
    const source = this.#sourceOf((over) => new ConsumeSource(this.#rpc, range, over), signal);
    return new ConsumeStream(source);
  }

  /** The last head of a topic's log; undefined where it has no message. Throws MsgbusError. */
  async head(topic: string, options: LogOptions = {}): Promise<number | undefined> {
    const { origin } = options;
    const request = { topic, ...(origin && { origin }) };
    const { found, headId } = await this.#rpc.unary(MsgbusService.method.getHead, request, options);
    return found ? numberFromWire(headId) : undefined;
  }

  /** The last head of every log that the daemon stores. Throws MsgbusError. */
  async heads(options: CallOptions = {}): Promise<TopicHead[]> {
    const { heads } = await this.#rpc.unary(
      MsgbusService.method.listHeads,
      {},
      options,
      SDK_LIMITS.maxHeadsBytes,
    );
    return heads.map(({ topic, origin, headId, incarnation }) => ({
      topic,
      origin: nodeIdOf(origin),
      headId: numberFromWire(headId),
      incarnation,
    }));
  }

  /**
   * Deletes the messages of a range: they keep their places, and their payload and headers are erased. Returns how many
   * were not deleted before. Throws MsgbusError, and RangeError for heads that are no whole numbers from 1 on.
   */
  async deleteRange(topic: string, options: DeleteRangeOptions): Promise<number> {
    const { origin, from, to } = options;
    const request = {
      topic,
      fromHeadId: headToWire(from, "from"),
      toHeadId: headToWire(to, "to"),
      ...(origin && { origin }),
    };
    const { deletedCount } = await this.#rpc.unary(MsgbusService.method.deleteRange, request, options);
    return numberFromWire(deletedCount);
  }

  /** A FIFO queue of the daemon, by its name. */
  fifo(queue: string): FifoQueue {
    return new FifoQueue(this.#rpc, queue);
  }

  /** What the daemon knows of the synchronization with its peers, one entry per peer and log. Throws MsgbusError. */
  async syncStates(options: CallOptions = {}): Promise<PeerSyncState[]> {
    const { states } = await this.#rpc.unary(MsgbusService.method.listPeerSyncStates, {}, options);
    return states.map(peerSyncStateOf);
  }

  /** The daemon's peers, and how far it is behind each. Throws MsgbusError. */
  async peers(options: CallOptions = {}): Promise<PeerState[]> {
    const { peers } = await this.#rpc.unary(MsgbusService.method.listPeerSyncStates, {}, options);
    return peers.map(peerStateOf);
  }

  /**
   * Decides about forked logs of one origin at one peer, and returns those. Throws MsgbusError: "NOT_FOUND" where no such
   * log is forked, "FAILED_PRECONDITION" where the peer's log is to be taken and the peer can't be reached.
   */
  async resolveFork(options: ResolveForkOptions): Promise<ResolvedFork[]> {
    const { peer, origin, topic = "", decision } = options;
    const request = { peer, origin, topic, decision: DECISIONS[decision] };
    const { forks } = await this.#rpc.unary(SyncService.method.resolveFork, request, options);
    return forks.map(({ topic, origin, archive }) => ({
      topic,
      origin: nodeIdOf(origin),
      archive: archive || undefined,
    }));
  }

  /** The logs that were set aside when forks were resolved. Throws MsgbusError. */
  async archivedLogs(options: CallOptions = {}): Promise<ArchivedLog[]> {
    const { logs } = await this.#rpc.unary(SyncService.method.listArchivedLogs, {}, options);
    return logs.map(({ topic, origin, archive, headId }) => ({
      topic,
      origin: nodeIdOf(origin),
      archive,
      headId: numberFromWire(headId),
    }));
  }

  /** That the daemon answers, and who it is. Throws MsgbusError. */
  async health(options: CallOptions = {}): Promise<Health> {
    const { status, node, incarnation } = await this.#rpc.unary(MsgbusService.method.health, {}, options);
    return { status, node: nodeIdOf(node), incarnation };
  }

  /** Whether the daemon's store answers. Throws MsgbusError. */
  async ready(options: CallOptions = {}): Promise<Readiness> {
    const answer = await this.#rpc.unary(MsgbusService.method.ready, {}, options);
    const { ready, status, error, node, durability } = answer;
    return { ready, status, error, node: nodeIdOf(node), durability };
  }

  /** Ends every stream without an error, every other call with MsgbusError "UNAVAILABLE", and the connection. */
  async close(): Promise<void> {
    for (const source of [...this.#sources]) source.close();
    await this.#publisher.close();
    await this.#rpc.close();
  }

  /** Closes at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #streamOf(open: (over: AbortController) => MessageSource, signal: AbortSignal | undefined): MessageStream {
    return new MessageStream(this.#sourceOf(open, signal));
  }

  #sourceOf<Source extends MessageSource>(
    open: (over: AbortController) => Source,
    signal: AbortSignal | undefined,
  ): Source {
    const over = new AbortController();
    const source = open(over);
    const abort = () => source.close();
    this.#sources.add(source);
    over.signal.addEventListener("abort", () => {
      this.#sources.delete(source);
      signal?.removeEventListener("abort", abort);
    });
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    return source;
  }
}

function checkFrom(from: ConsumeFrom): void {
  if (typeof from === "string") return;
  if ("head" in from) headToWire(from.head, "from.head");
  if (!("time" in from)) return;
  const ms = Number(from.time);
  if (Number.isSafeInteger(ms) && ms >= 0) return;
  throw new RangeError(
    `Cannot consume from the time ${from.time}: give a Date or whole milliseconds from 0 on`,
  );
}

/**
 * A client of the daemon at "host:port", "[v6]:port", "http://host:port", "https://host:port" or "unix:/path". It
 * connects with the first call, and again after a loss. Where TLS fails, calls end with MsgbusError "UNAVAILABLE" whose
 * message says why. Throws TypeError for another target, RangeError for bad options.
 */
export function connect(target = "127.0.0.1:50051", options: ClientOptions = {}): Client {
  return new Client(target, options);
}
