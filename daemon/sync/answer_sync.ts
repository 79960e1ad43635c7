import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { NodeId } from "@msgbus/proto";
import {
  SyncHeadSchema,
  type SyncHello,
  SyncLogSchema,
  SyncPositionSchema,
  type SyncRequest,
  SyncRequestSchema,
  type SyncResponse,
  SyncResponseSchema,
} from "@msgbus/proto/sync";
import { BusError } from "../bus/error.ts";
import type { Bus } from "../bus/bus.ts";
import type { Subscription } from "../bus/subscription.ts";
import type { Timer } from "../bus/timer.ts";
import { type LogHead, LogMap, type NodeName } from "../store/store.ts";
import {
  BATCH_MESSAGES,
  LOGS_PER_RESPONSE,
  MAX_FILTER_PATTERNS,
  MAX_FOLLOWED_LOGS,
  MAX_SENDERS,
  TOLD_INTERVAL_MS,
} from "./limits.ts";
import { encodeBatch } from "./sync_codec.ts";
import { TopicFilter } from "./topic_filter.ts";

/** What a session needs of a bus: it only reads. */
export type SyncSource = Pick<
  Bus,
  "node" | "incarnation" | "heads" | "logHead" | "watchHeads" | "sequence" | "placeAt" | "knows" | "subscribe"
>;

/** Where a session's responses go; as a streaming call of gRPC has it. */
export interface SyncOutput {
  /** Sends without waiting; false asks to wait for `ready`. */
  send(response: Uint8Array): boolean;
  /** Settles when there is room. Rejects when the session is over. */
  ready(): Promise<void>;
  /** Runs `make` when there is room for what it reads, and for few logs at a time. Rejects when the session is over. */
  inTurn<T>(make: () => Promise<T>): Promise<T>;
}

/** A log as this session knows it. */
interface ToldLog {
  readonly number: number;
  readonly topic: string;
  readonly origin: NodeName;
  /** Present while the caller follows the log. */
  following: Subscription | undefined;
}

/**
 * Answers one session of SyncService: tells the heads of the logs, once and whenever they change, and sends the messages
 * of those that the caller follows. Settles when the caller ends its requests or `signal` aborts; rejects with BusError
 * when what the caller says is wrong or the bus fails.
 */
export async function answerSync(
  bus: SyncSource,
  requests: AsyncIterable<Uint8Array>,
  output: SyncOutput,
  signal: AbortSignal,
  timer: Timer,
): Promise<void> {
  let abort = () => {};
  const aborted = new Promise<void>((resolve) => abort = () => resolve());
  signal.addEventListener("abort", abort, { once: true });
  try {
    if (!signal.aborted) await answerUntil(aborted, bus, requests, output, timer);
  } finally {
    // The signals behind this one outlive the session, and would keep it in memory.
    signal.removeEventListener("abort", abort);
  }
}

async function answerUntil(
  aborted: Promise<void>,
  bus: SyncSource,
  requests: AsyncIterable<Uint8Array>,
  output: SyncOutput,
  timer: Timer,
): Promise<void> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await Promise.race([iterator.next(), aborted]);
  if (first === undefined || first.done === true) return;
  const hello = decodeRequest(first.value).request;
  if (hello.case !== "hello") throw wrong("the first request is no hello");
  const patterns = hello.value.include.length + hello.value.exclude.length;
  if (patterns > MAX_FILTER_PATTERNS) {
    throw new BusError(
      "resource_exhausted",
      `Cannot begin the session: it has ${patterns} patterns, the limit is ${MAX_FILTER_PATTERNS}`,
    );
  }
  const answerer = new SyncAnswerer(bus, output, timer, hello.value);
  try {
    await Promise.race([answerer.run(), answerer.take(iterator), aborted]);
  } finally {
    answerer.end();
  }
}

class SyncAnswerer {
  readonly #bus: SyncSource;
  readonly #output: SyncOutput;
  readonly #timer: Timer;
  readonly #hello: SyncHello;
  readonly #filter: TopicFilter;
  readonly #logs = new LogMap<ToldLog>();
  readonly #byNumber: ToldLog[] = [];
  /** Logs whose heads changed and must be told at once, because the caller does not follow them. */
  #news = new LogMap<LogHead>();
  /** Logs that changed since a position was told. */
  #changed = new LogMap<LogHead>();
  /** Whether it is time to tell a position. */
  #positionDue = false;
  /** Whether something is being told: the next waits until there is room, and gathers meanwhile. */
  #telling = true;
  #unwatch: () => void = () => {};
  #cancelTold: (() => void) | undefined;
  #cancelNews: (() => void) | undefined;
  #followed = 0;
  #senders = 0;
  #senderEnded: () => void = () => {};
  #ended = false;
  #end: () => void = () => {};
  #fail: (error: unknown) => void = () => {};
  readonly #over: Promise<void>;

  constructor(bus: SyncSource, output: SyncOutput, timer: Timer, hello: SyncHello) {
    this.#bus = bus;
    this.#output = output;
    this.#timer = timer;
    this.#hello = hello;
    this.#filter = new TopicFilter(hello.include, hello.exclude);
    this.#over = new Promise((resolve, reject) => {
      this.#end = resolve;
      this.#fail = reject;
    });
    this.#over.catch(() => {}); // whoever runs hears of it
  }

  /** Tells until it is ended. Rejects when the bus fails or the output is over. */
  async run(): Promise<void> {
    await Promise.race([this.#tellAll(), this.#over]);
    await this.#over;
  }

  /** Takes the caller's requests; the session ends with them. */
  async take(requests: AsyncIterator<Uint8Array>): Promise<void> {
    for (let next = await requests.next(); next.done !== true; next = await requests.next()) {
      if (this.#ended) return;
      const { request } = decodeRequest(next.value);
      if (request.case === "follow") {
        // A log that was left stays in line until there is room to send: who does not read is not listened to either.
        while (this.#senders >= MAX_SENDERS && !this.#ended) {
          await new Promise<void>((resolve) => this.#senderEnded = resolve);
        }
        if (this.#ended) return;
        this.#follow(toNumber(request.value.log), toNumber(request.value.fromHeadId));
      } else if (request.case === "unfollow") this.#unfollow(this.#byNumber[toNumber(request.value.log)]);
      else throw wrong(request.case === "hello" ? "there is a second hello" : "it is of an unknown kind");
    }
    this.end();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#unwatch();
    this.#cancelTold?.();
    this.#cancelNews?.();
    for (const log of this.#byNumber) this.#unfollow(log);
    this.#senderEnded();
    this.#end();
  }

  async #tellAll(): Promise<void> {
    const { after } = this.#hello;
    const from = after === undefined ? 0 : toNumber(after.sequence);
    const resumed = after !== undefined && await this.#bus.knows({ ...after, sequence: from });
    if (this.#ended) return;
    // Not before: news would leave ahead of the welcome, and what has changed until now is in the heads.
    this.#unwatch = this.#bus.watchHeads((topic, origin) => this.#headChanged(topic, origin));
    const wanted = new LogMap<true>();
    for (const { topic, origin } of this.#hello.logs) wanted.set(topic, nodeOf(origin), true);
    const heads = this.#bus.heads().filter(({ topic, origin, sequence }) =>
      this.#filter.passes(topic) && (!resumed || sequence > from || wanted.get(topic, origin) === true)
    );
    const sequence = this.#bus.sequence;
    const { node, incarnation } = this.#bus;
    this.#send({ welcome: { $typeName: "msgbus.v1.SyncWelcome", node: nodeId(node), incarnation, resumed } });
    for (let at = 0; at < heads.length; at += LOGS_PER_RESPONSE) {
      await this.#tell(heads.slice(at, at + LOGS_PER_RESPONSE));
    }
    if (heads.length > 0) await this.#tellPosition(sequence);
    this.#telling = false;
    await this.#tellNews();
  }

  #headChanged(topic: string, origin: NodeName): void {
    if (!this.#filter.passes(topic)) return;
    const head = this.#bus.logHead(topic, origin);
    if (head.headId === 0) return this.#forget(topic, origin);
    this.#changed.set(topic, origin, head);
    this.#cancelTold ??= this.#timer(TOLD_INTERVAL_MS, () => {
      this.#cancelTold = undefined;
      this.#positionDue = true;
      this.#watched(this.#tellNews());
    });
    if (this.#logs.get(topic, origin)?.following !== undefined) return;
    this.#news.set(topic, origin, head);
    this.#cancelNews ??= this.#timer(0, () => {
      this.#cancelNews = undefined;
      this.#watched(this.#tellNews());
    });
  }

  async #tellNews(): Promise<void> {
    if (this.#telling) return;
    this.#telling = true;
    while (!this.#ended && (this.#news.size > 0 || this.#positionDue)) {
      const heads = [...this.#news.values()];
      this.#news = new LogMap();
      for (let at = 0; at < heads.length; at += LOGS_PER_RESPONSE) {
        await this.#tell(heads.slice(at, at + LOGS_PER_RESPONSE));
      }
      if (!this.#positionDue) continue;
      this.#positionDue = false;
      await this.#tellPosition(this.#bus.sequence);
    }
    this.#telling = false;
  }

  /** The log was set aside: what comes to be of it is told under another number, so that the caller begins anew. */
  #forget(topic: string, origin: NodeName): void {
    this.#unfollow(this.#logs.get(topic, origin));
    this.#logs.delete(topic, origin);
    this.#changed.delete(topic, origin);
    this.#news.delete(topic, origin);
  }

  /** Says that everything up to a sequence was told, with the heads of those logs whose messages may still be under way. */
  async #tellPosition(sequence: number): Promise<void> {
    const heads = [...this.#changed.values()];
    this.#changed = new LogMap();
    for (let at = 0; at < heads.length; at += LOGS_PER_RESPONSE) {
      await this.#tell(heads.slice(at, at + LOGS_PER_RESPONSE));
    }
    if (this.#ended) return;
    const { incarnation, opening } = this.#bus.placeAt(sequence);
    this.#send({ told: create(SyncPositionSchema, { incarnation, sequence: BigInt(sequence), opening }) });
  }

  async #tell(heads: readonly LogHead[]): Promise<void> {
    const logs = [];
    const news = [];
    for (const { topic, origin } of heads) {
      // As it is now: since it changed, more may have come, or it was set aside.
      const { headId, incarnation } = this.#bus.logHead(topic, origin);
      if (headId === 0) continue;
      let told = this.#logs.get(topic, origin);
      if (told === undefined) {
        told = { number: this.#byNumber.length, topic, origin, following: undefined };
        this.#byNumber.push(told);
        this.#logs.set(topic, origin, told);
        const log = BigInt(told.number);
        logs.push(create(SyncLogSchema, { log, topic, origin: nodeId(origin), incarnation }));
      }
      news.push(create(SyncHeadSchema, { log: BigInt(told.number), headId: BigInt(headId) }));
    }
    if (!this.#send({ logs, heads: news })) await this.#output.ready();
  }

  #follow(number: number, fromHeadId: number): void {
    const log = this.#byNumber[number];
    if (log === undefined) throw wrong(`no log has the number ${number}`);
    this.#unfollow(log);
    if (this.#followed === MAX_FOLLOWED_LOGS) {
      throw new BusError(
        "resource_exhausted",
        `Cannot follow "${log.topic}": ${MAX_FOLLOWED_LOGS} logs are followed; leave one first`,
      );
    }
    const { topic, origin } = log;
    this.#followed++;
    log.following = this.#bus.subscribe({ topic, origin, fromHeadId, pageSize: BATCH_MESSAGES });
    this.#senders++;
    const sent = this.#sendMessages(log, log.following).finally(() => {
      this.#senders--;
      this.#senderEnded();
    });
    this.#watched(sent);
  }

  #unfollow(log: ToldLog | undefined): void {
    if (log?.following === undefined) return;
    log.following.close();
    log.following = undefined;
    this.#followed--;
  }

  async #sendMessages(log: ToldLog, following: Subscription): Promise<void> {
    for (;;) {
      let page;
      try {
        page = await (following.behind ? this.#output.inTurn(() => following.next()) : following.next());
      } catch (error) {
        if (!(error instanceof BusError) || error.code !== "unavailable") throw error;
        // The log was set aside, or the bus closes, which ends the session by itself.
        if (log.following === following) this.#unfollow(log);
        return;
      }
      if (page.length === 0) return;
      if (!this.#output.send(encodeBatch(log.number, page))) await this.#output.ready();
    }
  }

  #send(response: Partial<Omit<SyncResponse, "$typeName" | "$unknown">>): boolean {
    return this.#output.send(toBinary(SyncResponseSchema, create(SyncResponseSchema, response)));
  }

  /** What fails beside the caller's requests ends the session. */
  #watched(work: Promise<void>): void {
    work.catch((error) => this.#ended ? undefined : this.#fail(error));
  }
}

function decodeRequest(bytes: Uint8Array): SyncRequest {
  try {
    return fromBinary(SyncRequestSchema, bytes);
  } catch (error) {
    throw new BusError("invalid_argument", "Cannot read the request: it is no SyncRequest", { cause: error });
  }
}

function wrong(what: string): BusError {
  return new BusError("invalid_argument", `Cannot go on with the session: ${what}`);
}

function nodeId({ tenantId, blName, deviceId }: NodeName): NodeId {
  return { $typeName: "msgbus.v1.NodeId", tenantId, blName, deviceId };
}

/** A NodeId as it came; an absent one has empty parts. */
export function nodeOf(id: NodeId | undefined): NodeName {
  return { tenantId: id?.tenantId ?? "", blName: id?.blName ?? "", deviceId: id?.deviceId ?? "" };
}

/** A number of the wire; one beyond the safe integers lies beyond everything all the same. */
export function toNumber(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
}
