import type { Bus } from "../bus/bus.ts";
import { BusError, ConflictError } from "../bus/error.ts";
import { readDeleteMarker } from "../bus/delete_marker.ts";
import { DELETE_TOPIC, isSameNode } from "../bus/names.ts";
import type { Timer } from "../bus/timer.ts";
import { type NodeName, type ReplicatedMessage, StoreError } from "../store/store.ts";
import { backoffMs } from "./backoff.ts";
import { LeaseWatch } from "./lease_watch.ts";
import type { LeaseHolder, Leases } from "./leases.ts";
import {
  FIRST_STALL_PAUSE_MS,
  MAX_LOGS_OF_PEER,
  MAX_REST_MS,
  MAX_STALL_PAUSE_MS,
  MAX_TAKE_OVER_MS,
  MAX_TOLD_NAME_LENGTH,
  MAX_VERIFICATIONS,
  QUICKER,
  SLOW_PAUSE_MS,
  STALLED_MS,
  TAKE_OVER_MS,
} from "./limits.ts";
import { type LogCopy, wentBack } from "./log_copy.ts";
import { PeerError, type PeerIdentity, type PeerLink } from "./peer_link.ts";
import type { PeerState } from "./peer_state.ts";
import type { TopicFilter } from "./topic_filter.ts";

/** What the synchronization needs of the bus. */
export type SyncBus = Pick<
  Bus,
  | "node"
  | "incarnation"
  | "logHead"
  | "replicate"
  | "archive"
  | "peerSyncStates"
  | "peerCursor"
  | "recordPeerSync"
>;

/** What happens that people want to read of. */
export interface SyncEvents {
  connected(peer: string, identity: PeerIdentity, mode: "stream" | "poll"): void;
  failed(peer: string, reason: string, retryMs: number): void;
  forked(peer: string, topic: string, origin: NodeName, reason: string): void;
  logFailed(peer: string, topic: string, origin: NodeName, reason: string): void;
}

/** What a session works with. */
export interface SessionPorts {
  readonly bus: SyncBus;
  readonly link: PeerLink;
  readonly identity: PeerIdentity;
  /** Milliseconds that the peer took to say who it is, connecting included. */
  readonly answerMs: number;
  readonly state: PeerState;
  readonly leases: Leases;
  readonly filter: TopicFilter;
  readonly events: SyncEvents;
  readonly timer: Timer;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** 0 to 1. */
  readonly random: () => number;
}

/**
 * What is the same however a peer is followed: which logs to copy, and what to do where copies do not fit. A log that
 * fails never keeps the others.
 */
export abstract class PeerSession implements LeaseHolder {
  protected readonly ports: SessionPorts;
  readonly #questions: (() => Promise<void>)[] = [];
  readonly #asked = new Set<LogCopy>();
  /** Logs that are to be compared, until they were found equal or forked. */
  readonly #doubted = new Set<LogCopy>();
  readonly #timers = new Map<LogCopy, () => void>();
  #misnamed = false;
  #asking = 0;
  #fail: (error: unknown) => void = () => {};
  /** Rejects when the session can't go on. */
  protected readonly failed: Promise<never>;
  protected ended = false;

  constructor(ports: SessionPorts) {
    this.ports = ports;
    this.failed = new Promise((_, reject) => this.#fail = reject);
    this.failed.catch(() => {}); // whoever runs the session hears of it
    for (const copy of ports.state.logs()) copy.beginSession();
    ports.leases.join(this);
  }

  /** Follows the peer until it fails or `end` is called. Rejects with PeerError or BusError; then `end` is to be called. */
  abstract run(): Promise<void>;

  /** Whether the log is being copied already. */
  protected abstract copying(copy: LogCopy): boolean;

  /** Whether the peer has told of the log in this session; when it does, the log is considered again. */
  protected abstract canCopy(copy: LogCopy): boolean;

  /** Begins to copy a log whose lease this session has. */
  protected abstract copy(copy: LogCopy, fromHeadId: number): void;

  /** Stops copying a log, where it is being copied. Its lease is released by the caller. */
  protected abstract leaveLog(copy: LogCopy): void;

  abstract yieldLog(topic: string, origin: NodeName, pace: number | undefined): boolean;

  /** Whether a log that is copied now would be asked for at once. */
  protected abstract hasRoom(): boolean;

  /**
   * Leaves a log alone for a while: the peer says that it has more of it, and sends it too slowly, or nothing; or, where
   * the pace is undefined, it was not asked for the log yet.
   */
  protected pause(copy: LogCopy, pace: number | undefined): void {
    copy.pace = pace;
    if (pace !== 0) return this.#later(copy, SLOW_PAUSE_MS, () => this.consider(copy));
    const ms = FIRST_STALL_PAUSE_MS * 2 ** Math.min(copy.stalls, 16);
    copy.stalls++;
    this.#later(copy, Math.min(ms, MAX_STALL_PAUSE_MS), () => this.consider(copy));
  }

  /** Whether some logs that were heard of are still to be compared: the next session must hear of them again. */
  protected get doubts(): boolean {
    return this.#doubted.size > 0;
  }

  /** There are no doubts any more. */
  protected doubtsSettled(): void {}

  leaseFreed(topic: string, origin: NodeName): void {
    this.consider(this.ports.state.log(topic, origin));
  }

  /** Does nothing more. */
  end(): void {
    if (this.ended) return;
    this.ended = true;
    for (const cancel of this.#timers.values()) cancel();
    this.ports.leases.leave(this);
  }

  /** Looks at what is to be done about a log, and does it. */
  consider(copy: LogCopy): void {
    if (this.ended || this.copying(copy) || this.#asked.has(copy) || this.#timers.has(copy)) return;
    const { bus, identity, leases, filter } = this.ports;
    const { topic, origin } = copy;
    if (!filter.passes(topic)) return;
    const plan = copy.plan(bus.logHead(topic, origin), identity, bus.node);
    switch (plan.kind) {
      case "nothing":
        return;
      case "fork":
        return this.#forked(copy, plan.reason);
      case "verify":
        return this.#ask(copy, () => this.#verify(copy, plan.headId));
      case "ask":
        return this.#ask(copy, () => this.#askOrigin(copy));
      case "copy":
        if (!this.canCopy(copy)) return;
        if (leases.claim(topic, origin, this)) return this.copy(copy, plan.fromHeadId);
        return this.#takeOverLater(
          copy,
          TAKE_OVER_MS,
          new LeaseWatch(leases.holder(topic, origin), bus.logHead(topic, origin).headId),
        );
    }
  }

  /** What was copied of a log is set aside: copies of it are compared anew, and nothing that is under way counts. */
  beginAnew(topic: string, origin: NodeName): void {
    const copy = this.ports.state.log(topic, origin);
    copy.forgetAgreement();
    this.leaveLog(copy);
  }

  /** The peer has another log in the place of one that it had. */
  protected begunAnew(copy: LogCopy): void {
    copy.replaced();
    this.#leave(copy);
  }

  /** The session can't go on. */
  protected fail(error: PeerError): void {
    this.#fail(error);
  }

  /** Another log was adopted in the place of one: what this peer has of it is heard and compared anew. */
  restart(): void {
    this.ports.state.forgetPosition();
    this.#fail(new PeerError("unreachable", "a log was set aside: asks the peer anew"));
  }

  /** Copies a log that was adopted. It is this session's already, so that no other peer's takes its place. */
  copyAdopted(copy: LogCopy): void {
    this.#timers.get(copy)?.();
    this.#timers.delete(copy);
    this.consider(copy);
    if (!this.copying(copy)) this.ports.leases.release(copy.topic, copy.origin, this);
  }

  /** Whether the peer has the message that we have at a head. Rejects with PeerError. */
  async agrees(copy: LogCopy, headId: number): Promise<boolean> {
    try {
      return await this.#verify(copy, headId);
    } catch (error) {
      if (error instanceof ConflictError) return false;
      throw error;
    }
  }

  /**
   * Whether the name of a log that the peer tells of can be kept at all. One that can, and that no log may have, is a log
   * that fails like any other, so that people see it.
   */
  protected isKeepable(topic: string, origin: NodeName): boolean {
    const parts = [topic, origin.tenantId, origin.blName, origin.deviceId];
    if (parts.every(({ length }) => length <= MAX_TOLD_NAME_LENGTH)) return true;
    const { state, events, identity } = this.ports;
    if (!this.#misnamed) {
      events.logFailed(state.peer, topic.slice(0, 64), identity.node, "its name is far too long");
    }
    this.#misnamed = true;
    return false;
  }

  /** How many logs of the peer are known. */
  protected knownLogs(): number {
    let count = 0;
    for (const _ of this.ports.state.logs()) count++;
    return count;
  }

  /** Throws PeerError when the peer tells of too many logs, `known` of which may have been others. */
  protected checkCount(told: number, known: number): void {
    // Whether those that it tells of were known is not looked at: the bound holds up to a factor of two.
    if (Math.max(known - MAX_LOGS_OF_PEER, 0) + told <= MAX_LOGS_OF_PEER) return;
    throw new PeerError("refused", `the peer tells of more than ${MAX_LOGS_OF_PEER} logs`);
  }

  /**
   * Like `PeerLink.fetch`. Rejects with BusError when the peer refuses this log, or its answer can't be read; and when the
   * answer begins elsewhere: then there would be no end of asking.
   */
  protected async fetch({ topic, origin }: LogCopy, fromHeadId: number, limit: number) {
    const messages = await ofLog(topic, this.ports.link.fetch(topic, origin, fromHeadId, limit));
    const first = messages[0]?.headId ?? fromHeadId;
    if (first === fromHeadId) return messages;
    throw new BusError(
      "failed_precondition",
      `Cannot copy "${topic}": asked for head ${fromHeadId}, the peer answers with head ${first}`,
    );
  }

  /** Stores messages. Rejects as `Bus.replicate`. */
  protected async apply(copy: LogCopy, messages: readonly ReplicatedMessage[]): Promise<void> {
    const { bus, state, now } = this.ports;
    const { topic, origin } = copy;
    copy.lastAttemptAtMs = now();
    const incarnation = copy.remoteIncarnation;
    const { headId } = bus.logHead(topic, origin);
    const isStored = (message: ReplicatedMessage) => message.headId <= headId;
    const refusal = topic === DELETE_TOPIC
      ? this.#refusalOf(copy, messages.filter((message) => !isStored(message)))
      : undefined;
    if (refusal !== undefined) {
      // Where the markers that are stored differ already, that is what there is to say.
      const stored = messages.filter(isStored);
      await bus.replicate({ topic, origin, incarnation: "", messages: stored });
      throw refusal;
    }
    const head = await bus.replicate({ topic, origin, incarnation, messages, adopt: copy.adopting });
    const last = messages.at(-1)?.headId ?? 0;
    copy.agreed(last);
    copy.remoteHead = Math.max(copy.remoteHead, last);
    copy.lastSuccessAtMs = now();
    copy.consecutiveFailures = 0;
    copy.lastError = "";
    if (head > headId) copy.stalls = 0;
    if (head >= copy.remoteHead) copy.adopting = false;
    state.lastSuccessAtMs = copy.lastSuccessAtMs;
    state.changed(copy);
    if (head < last) throw new BusError("internal", `Cannot copy "${topic}": the store lost messages`);
  }

  /** What an origin deletes from a log that is forked at this peer are not the messages that were copied here. */
  #refusalOf({ origin }: LogCopy, messages: readonly ReplicatedMessage[]): BusError | undefined {
    for (const { headId, payload, deleted } of messages) {
      const topic = deleted ? undefined : readDeleteMarker(payload)?.topic;
      if (topic === undefined || this.ports.state.log(topic, origin).fork === "none") continue;
      return new BusError(
        "failed_precondition",
        `Cannot copy "${DELETE_TOPIC}": message ${headId} deletes from "${topic}", which is forked at this peer`,
      );
    }
    return undefined;
  }

  /** What a failure with a log means: for this log, or for the session. */
  protected logFailed(copy: LogCopy, error: unknown): void {
    if (this.ended) return;
    if (error instanceof ConflictError) return this.#forked(copy, error.message);
    // The peer is gone, or this node can't store anything: no log would fare better.
    if (!(error instanceof BusError) || isOurs(error)) return this.#fail(error);
    const { state, events, random } = this.ports;
    copy.consecutiveFailures++;
    copy.lastError = error.message;
    copy.forgetAgreement();
    if (copy.consecutiveFailures === 1) {
      events.logFailed(state.peer, copy.topic, copy.origin, error.message);
    }
    this.#leave(copy);
    void state.record();
    this.#timers.get(copy)?.();
    this.#later(copy, backoffMs(copy.consecutiveFailures, random), () => this.consider(copy));
  }

  #forked(copy: LogCopy, reason: string): void {
    const { state, events } = this.ports;
    copy.fork = "open";
    copy.lastError = reason;
    copy.consecutiveFailures++;
    this.#leave(copy);
    events.forked(state.peer, copy.topic, copy.origin, reason);
    void state.record();
  }

  #leave(copy: LogCopy): void {
    const { state, leases } = this.ports;
    this.leaveLog(copy);
    state.changed(copy);
    leases.release(copy.topic, copy.origin, this);
  }

  /**
   * Another session copies the log: looks later whether that one has nothing more while this peer has, or is too slow,
   * and watches it meanwhile.
   */
  #takeOverLater(copy: LogCopy, ms: number, watch: LeaseWatch): void {
    this.#later(copy, ms, () => {
      const { bus, identity, leases } = this.ports;
      const { topic, origin } = copy;
      const local = bus.logHead(topic, origin);
      const plan = copy.plan(local, identity, bus.node);
      if (plan.kind !== "copy" || !this.canCopy(copy)) return this.consider(copy);
      watch.look(ms, leases.holder(topic, origin), local.headId);
      const isForced = isTooSlow(copy, watch, local.headId) && this.hasRoom();
      const pace = isForced ? watch.pace ?? 0 : undefined;
      if (leases.takeOver(topic, origin, this, pace)) return this.copy(copy, plan.fromHeadId);
      this.#takeOverLater(copy, Math.min(ms * 2, MAX_TAKE_OVER_MS), watch);
    });
  }

  #later(copy: LogCopy, ms: number, callback: () => void): void {
    const cancel = this.ports.timer(ms, () => {
      this.#timers.delete(copy);
      if (!this.ended) callback();
    });
    this.#timers.set(copy, cancel);
  }

  #ask(copy: LogCopy, question: () => Promise<unknown>): void {
    this.#asked.add(copy);
    this.#doubted.add(copy);
    this.#questions.push(async () => {
      try {
        await question();
      } catch (error) {
        this.#asked.delete(copy);
        this.logFailed(copy, error);
        if (copy.fork !== "none") this.#settleDoubt(copy);
        return;
      }
      this.#asked.delete(copy);
      this.#settleDoubt(copy);
      this.consider(copy);
    });
    this.#askNext();
  }

  #settleDoubt(copy: LogCopy): void {
    this.#doubted.delete(copy);
    if (!this.doubts && !this.ended) this.doubtsSettled();
  }

  #askNext(): void {
    while (this.#asking < MAX_VERIFICATIONS && !this.ended) {
      const question = this.#questions.shift();
      if (question === undefined) return;
      this.#asking++;
      void question().finally(() => {
        this.#asking--;
        this.#askNext();
      });
    }
  }

  /** Compares one message; false when the peer does not have it. Rejects with ConflictError when it is another. */
  async #verify(copy: LogCopy, headId: number): Promise<boolean> {
    const { bus, identity } = this.ports;
    const { topic, origin } = copy;
    copy.verified = true;
    const messages = await this.fetch(copy, headId, 1);
    if (messages.length === 0) return false;
    // Only the origin itself knows better than we in which data directory its log was written.
    const incarnation = isSameNode(identity.node, origin) ? copy.remoteIncarnation : "";
    await bus.replicate({ topic, origin, incarnation, messages });
    copy.agreed(headId);
    return true;
  }

  async #askOrigin(copy: LogCopy): Promise<void> {
    const { bus, link } = this.ports;
    const { topic, origin } = copy;
    copy.asked = true;
    const before = bus.logHead(topic, origin).headId;
    const remoteHead = await ofLog(topic, link.head(topic, origin));
    if (remoteHead < before) this.#forked(copy, wentBack(remoteHead, before));
    else copy.remoteHead = Math.max(copy.remoteHead, remoteHead);
  }
}

/** What the peer answers about one log. That it refuses, or can't be understood, is nothing to the others. */
async function ofLog<T>(topic: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    if (!(cause instanceof PeerError) || cause.code !== "refused") throw cause;
    throw new BusError("failed_precondition", `Cannot copy "${topic}": ${cause.message}`, { cause });
  }
}

/**
 * Whether a log is to be taken from the peer that is watched and given to one that has it too: nothing comes, or the rest
 * would take long, and the other one is not known to be hardly quicker.
 */
function isTooSlow({ remoteHead, pace }: LogCopy, watch: LeaseWatch, headId: number): boolean {
  if (watch.stalledMs >= STALLED_MS) return true;
  if (watch.pace === undefined || remoteHead - headId <= watch.pace * MAX_REST_MS) return false;
  return pace === undefined || pace > watch.pace * QUICKER;
}

/** Whether this node can store nothing at all: the disk is full, the store is broken, the daemon stops. */
function isOurs(error: BusError): boolean {
  return error.code === "internal" || error.code === "unavailable" ||
    (error.cause instanceof StoreError && error.cause.code === "full");
}
