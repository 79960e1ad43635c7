import { create, toBinary } from "@bufbuild/protobuf";
import {
  LogNameSchema,
  SyncFollowSchema,
  SyncHelloSchema,
  SyncPositionSchema,
  type SyncRequest,
  SyncRequestSchema,
  type SyncResponse,
  SyncUnfollowSchema,
  type SyncWelcome,
} from "@msgbus/proto/sync";
import { Forbearance, SLOWEST_BYTES_PER_MS } from "@msgbus/grpc";
import { NAME_BYTES } from "../bus/limits.ts";
import { formatNode, isSameNode } from "../bus/names.ts";
import { LogMap, type NodeName } from "../store/store.ts";
import { nodeOf, toNumber } from "./answer_sync.ts";
import {
  MAX_FOLLOWED_LOGS,
  MAX_HELLO_NAME_BYTES,
  MAX_PENDING_BYTES,
  QUESTION_TIMEOUT_MS,
  QUIET_MS,
} from "./limits.ts";
import type { LogCopy } from "./log_copy.ts";
import { PeerError, type SyncStream } from "./peer_link.ts";
import type { PeerPosition } from "./peer_state.ts";
import { PeerSession, type SessionPorts } from "./peer_session.ts";
import { decodeResponse, type ReceivedBatch } from "./sync_codec.ts";

/** A log that the peer sends us. */
interface Following {
  readonly copy: LogCopy;
  readonly log: number;
  /** The head of the next message. */
  nextHeadId: number;
  /** Whether the first message has come. */
  begun: boolean;
  /** Batches on their way to the disk. */
  pending: number;
}

/** Follows a peer by SyncService: it tells what changed, and sends what is followed. */
export class StreamSession extends PeerSession {
  readonly #stream: SyncStream;
  readonly #include: readonly string[];
  readonly #exclude: readonly string[];
  /** Undefined for a log whose name is not kept. */
  readonly #byNumber: (LogCopy | undefined)[] = [];
  readonly #incarnations: string[] = [];
  readonly #numbers = new LogMap<number>();
  /** In the order in which they were followed, or heard of last. */
  readonly #following = new Map<LogCopy, Following>();
  /** Logs that wait until fewer are followed, and the heads from which on. */
  readonly #waiting = new Map<LogCopy, number>();
  /** Up to where the peer has told, while logs that it told of are to be compared. */
  #told: PeerPosition | undefined;
  readonly #welcomed: () => void;
  #pendingBytes = 0;
  #drained: (() => void) | undefined;
  #cancelQuiet: () => void = () => {};
  /** Milliseconds that the peer took to answer the last question; the first one included connecting. */
  #answerMs: number;
  #cancelWelcome: () => void = () => {};
  /** Logs of the peer that were known before the session. */
  readonly #known = this.knownLogs();

  /** `welcomed` is called when the peer answers. */
  constructor(
    ports: SessionPorts,
    include: readonly string[],
    exclude: readonly string[],
    welcomed: () => void,
  ) {
    super(ports);
    this.#include = include;
    this.#exclude = exclude;
    this.#welcomed = welcomed;
    this.#answerMs = ports.answerMs;
    this.#stream = ports.link.sync();
  }

  async run(): Promise<void> {
    const helloMs = Math.ceil(this.#hello() / SLOWEST_BYTES_PER_MS);
    this.#cancelWelcome = this.#awaitAnswer(QUESTION_TIMEOUT_MS + helloMs, "the peer does not answer");
    await Promise.race([this.#receive(), this.failed]);
  }

  override end(): void {
    if (this.ended) return;
    const { leases } = this.ports;
    const logs = [...this.#following.keys(), ...this.#waiting.keys()];
    this.#following.clear();
    this.#waiting.clear();
    this.#cancelQuiet();
    this.#cancelWelcome();
    this.#stream.cancel();
    super.end();
    for (const { topic, origin } of logs) leases.release(topic, origin, this);
    this.#drained?.();
  }

  yieldLog(topic: string, origin: NodeName, pace: number | undefined): boolean {
    const { bus, state } = this.ports;
    const copy = state.log(topic, origin);
    const hasMore = copy.remoteHead > bus.logHead(topic, origin).headId;
    if (hasMore && pace === undefined) return false;
    const waits = this.#waiting.has(copy);
    this.leaveLog(copy);
    if (hasMore) this.pause(copy, waits ? undefined : pace);
    return true;
  }

  protected hasRoom(): boolean {
    return this.#following.size < MAX_FOLLOWED_LOGS || this.#idle() !== undefined;
  }

  protected copying(copy: LogCopy): boolean {
    return this.#following.has(copy) || this.#waiting.has(copy);
  }

  protected canCopy(copy: LogCopy): boolean {
    return this.#numbers.get(copy.topic, copy.origin) !== undefined;
  }

  protected copy(copy: LogCopy, fromHeadId: number): void {
    if (this.#following.size >= MAX_FOLLOWED_LOGS && !this.#makeRoom()) {
      this.#waiting.set(copy, fromHeadId);
      return;
    }
    this.#follow(copy, fromHeadId);
  }

  protected leaveLog(copy: LogCopy): void {
    this.#waiting.delete(copy);
    const following = this.#following.get(copy);
    if (following === undefined) return;
    this.#following.delete(copy);
    const log = BigInt(following.log);
    this.#send({ case: "unfollow", value: create(SyncUnfollowSchema, { log }) });
    this.#followNext();
  }

  /** Says hello. Says how many bytes that were. */
  #hello(): number {
    const { bus, state } = this.ports;
    const { node, incarnation } = bus;
    // What is forked must be known to the session when somebody decides to adopt it.
    const wanted = [...state.logs()].filter((copy) =>
      copy.fork !== "none" || copy.remoteHead > bus.logHead(copy.topic, copy.origin).headId
    );
    const nameBytes = wanted.reduce((sum, { topic, origin }) => sum + mostBytes(topic, origin), 0);
    const after = nameBytes > MAX_HELLO_NAME_BYTES ? undefined : state.position;
    return this.#send({
      case: "hello",
      value: create(SyncHelloSchema, {
        node,
        incarnation,
        include: [...this.#include],
        exclude: [...this.#exclude],
        // Who is told of everything need not ask for single logs.
        ...after !== undefined && {
          after: create(SyncPositionSchema, { ...after, sequence: BigInt(after.sequence) }),
          logs: wanted.map(({ topic, origin }) => create(LogNameSchema, { topic, origin })),
        },
      }),
    });
  }

  async #receive(): Promise<void> {
    let welcomed = false;
    for (;;) {
      const batch = await this.#stream.nextBatch();
      this.#watchQuiet();
      if (batch === null) throw new PeerError("unreachable", "the peer ended the session");
      for (const bytes of batch) {
        const { news, batch } = decodeResponse(bytes);
        if (!welcomed) {
          this.#checkWelcome(news?.welcome);
          this.#cancelWelcome();
          welcomed = true;
          this.#welcomed();
        }
        if (news !== undefined) this.#hear(news);
        if (batch !== undefined) this.#take(batch);
      }
      while (this.#pendingBytes > MAX_PENDING_BYTES && !this.ended) {
        await new Promise<void>((resolve) => this.#drained = resolve);
      }
      if (this.ended) return;
    }
  }

  /** Something came: when nothing more does, the peer is asked whether it is there, once. */
  #watchQuiet(): void {
    this.#cancelQuiet();
    this.#cancelQuiet = this.ports.timer(QUIET_MS, () => {
      const { link, now } = this.ports;
      const asked = now();
      const patienceMs = Math.max(QUIET_MS, 2 * this.#answerMs);
      const cancel = this.#cancelQuiet = this.#awaitAnswer(patienceMs, "the peer says nothing any more");
      link.identify().then(() => {
        cancel();
        this.#answerMs = Math.max(0, now() - asked);
      }, (error) => this.fail(error));
    });
  }

  /**
   * Fails the session after so many milliseconds; where this process stood still meanwhile, after as many more: the answer
   * may be there and unread. Returns how to cancel that.
   */
  #awaitAnswer(patienceMs: number, failure: string): () => void {
    const { timer, now } = this.ports;
    const forbearance = new Forbearance();
    let cancel = () => {};
    const wait = () => {
      forbearance.expectLook(now(), patienceMs);
      cancel = timer(patienceMs, () => {
        forbearance.look(now());
        if (forbearance.forbear()) wait();
        else this.fail(new PeerError("unreachable", failure));
      });
    };
    wait();
    return () => cancel();
  }

  /** The connection may have been made anew since the peer said who it is. */
  #checkWelcome(welcome: SyncWelcome | undefined): void {
    if (welcome === undefined) throw new PeerError("refused", "the peer begins without a welcome");
    const { node, incarnation } = this.ports.identity;
    if (isSameNode(nodeOf(welcome.node), node) && welcome.incarnation === incarnation) return;
    throw new PeerError(
      "refused",
      `another node than ${formatNode(node)} answers at the peer's endpoint by now`,
    );
  }

  #hear({ logs, heads, told }: SyncResponse): void {
    const { state } = this.ports;
    this.checkCount(this.#byNumber.length + logs.length, this.#known);
    for (const { log, topic, origin, incarnation } of logs) {
      const number = toNumber(log);
      if (number !== this.#byNumber.length) {
        throw new PeerError("refused", "the peer numbers its logs wrongly");
      }
      if (incarnation.length > NAME_BYTES) throw new PeerError("refused", "an incarnation is too long");
      const node = nodeOf(origin);
      if (!this.isKeepable(topic, node)) {
        this.#byNumber.push(undefined);
        this.#incarnations.push("");
        continue;
      }
      const copy = state.log(topic, node);
      // The peer has set the log that it told of aside, and has another one now.
      if (this.#numbers.get(copy.topic, copy.origin) !== undefined) this.begunAnew(copy);
      this.#byNumber.push(copy);
      this.#incarnations.push(incarnation);
      this.#numbers.set(copy.topic, copy.origin, number);
    }
    for (const { log, headId } of heads) {
      const number = toNumber(log);
      const copy = this.#byNumber[number];
      if (copy !== undefined && this.#numbers.get(copy.topic, copy.origin) !== number) continue;
      if (number >= this.#byNumber.length) {
        throw new PeerError("refused", "the peer tells of a log that it did not name");
      }
      if (copy === undefined) continue;
      const { topic, origin } = copy;
      state.heard({ topic, origin, headId: toNumber(headId), incarnation: this.#incarnations[number] ?? "" });
      this.consider(copy);
    }
    if (told === undefined) return;
    if (told.incarnation.length > NAME_BYTES || told.opening.length > NAME_BYTES) {
      throw new PeerError("refused", "the peer tells a position that is none");
    }
    this.#told = { ...told, sequence: toNumber(told.sequence) };
    if (!this.doubts) this.doubtsSettled();
  }

  /** Only now: a session that begins behind the position is not told again of what is still to be compared. */
  protected override doubtsSettled(): void {
    if (this.#told !== undefined) this.ports.state.reached(this.#told);
    this.#told = undefined;
  }

  #take({ log, messages, bytes }: ReceivedBatch): void {
    const copy = this.#byNumber[log];
    const following = copy && this.#following.get(copy);
    // What was on its way when the log was left is nothing to us.
    if (following?.log !== log) return;
    if (messages.length === 0) return;
    const first = messages[0]?.headId ?? 0;
    if (first > following.nextHeadId) {
      // Such may have been on its way from an earlier time that the log was followed.
      if (!following.begun) return;
      throw new PeerError("refused", `the peer leaves out messages of "${following.copy.topic}"`);
    }
    following.begun = true;
    following.nextHeadId = Math.max(following.nextHeadId, first + messages.length);
    following.pending++;
    this.#pendingBytes += bytes;
    this.apply(following.copy, messages).then(
      () => this.#applied(following, bytes),
      (error) => {
        this.#settled(bytes);
        // Those behind it fail for the same reason: the first one says it.
        if (this.#following.get(following.copy) === following) this.logFailed(following.copy, error);
      },
    );
  }

  #applied(following: Following, bytes: number): void {
    following.pending--;
    this.#settled(bytes);
    if (this.#following.get(following.copy) !== following) return;
    this.#following.delete(following.copy);
    this.#following.set(following.copy, following); // it was heard of last
    this.#followNext();
  }

  #settled(bytes: number): void {
    this.#pendingBytes -= bytes;
    if (this.#pendingBytes <= MAX_PENDING_BYTES) this.#drained?.();
  }

  #follow(copy: LogCopy, fromHeadId: number): void {
    const log = this.#numbers.get(copy.topic, copy.origin);
    if (log === undefined) return; // `canCopy` was asked before
    this.#following.set(copy, { copy, log, nextHeadId: fromHeadId, begun: false, pending: 0 });
    this.#send({
      case: "follow",
      value: create(SyncFollowSchema, { log: BigInt(log), fromHeadId: BigInt(fromHeadId) }),
    });
  }

  #followNext(): void {
    for (const [copy, fromHeadId] of this.#waiting) {
      if (this.#following.size >= MAX_FOLLOWED_LOGS && !this.#makeRoom()) return;
      this.#waiting.delete(copy);
      this.#follow(copy, fromHeadId);
    }
  }

  /** Leaves the log that has been quiet for longest, of those that are caught up. */
  #makeRoom(): boolean {
    const idle = this.#idle();
    if (idle === undefined) return false;
    const { copy, log } = idle;
    this.#following.delete(copy);
    this.#send({ case: "unfollow", value: create(SyncUnfollowSchema, { log: BigInt(log) }) });
    this.ports.leases.release(copy.topic, copy.origin, this);
    return true;
  }

  #idle(): Following | undefined {
    const { bus } = this.ports;
    for (const following of this.#following.values()) {
      const { copy, pending } = following;
      if (pending === 0 && copy.remoteHead <= bus.logHead(copy.topic, copy.origin).headId) return following;
    }
    return undefined;
  }

  /** Says how many bytes it sent. */
  #send(request: SyncRequest["request"]): number {
    if (this.ended) return 0;
    const bytes = toBinary(SyncRequestSchema, create(SyncRequestSchema, { request }));
    this.#stream.send(bytes);
    return bytes.length;
  }
}

/** What a log's name takes in a hello at most: UTF-8 needs at most 3 bytes per UTF-16 unit, and each field a few more. */
function mostBytes(topic: string, { tenantId, blName, deviceId }: NodeName): number {
  return 3 * (topic.length + tenantId.length + blName.length + deviceId.length) + 24;
}
