import { BusError } from "../bus/error.ts";
import { formatNode, isSameNode } from "../bus/names.ts";
import type { Timer } from "../bus/timer.ts";
import type { NodeName } from "../store/store.ts";
import { Leases } from "./leases.ts";
import { PeerState, type PeerSummary } from "./peer_state.ts";
import { type PeerOptions, PeerWorker } from "./peer_worker.ts";
import type { SyncBus, SyncEvents } from "./peer_session.ts";
import type { PollOptions } from "./poll_session.ts";
import type { LogCopy } from "./log_copy.ts";
import { TopicFilter } from "./topic_filter.ts";

/** What a synchronizer is made of. */
export interface SynchronizerOptions {
  readonly bus: SyncBus;
  readonly poll: PollOptions;
  readonly events: SyncEvents;
  readonly timer: Timer;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** 0 to 1. */
  readonly random: () => number;
}

/** What to do about a forked log. */
export type ForkDecision = "adopt" | "refuse";

/** See {@link Synchronizer.resolve}. */
export interface ResolveRequest {
  readonly peer: string;
  readonly origin: NodeName;
  /** All forked logs of the origin where it is "". */
  readonly topic: string;
  readonly decision: ForkDecision;
}

/** A log that was decided about. */
export interface ResolvedFork {
  readonly topic: string;
  readonly origin: NodeName;
  /** Under which name our log was set aside; "" where it was not. */
  readonly archive: string;
}

/** Copies the logs of all peers: one worker each, none of which waits for another. */
export class Synchronizer {
  readonly #options: SynchronizerOptions;
  readonly #leases = new Leases();
  readonly #workers = new Map<string, PeerWorker>();
  /** Peers that are followed once it is read what is known of them. */
  readonly #adding = new Set<{ readonly peer: string; removed: boolean }>();
  #closed = false;

  /** It follows nobody yet. */
  constructor(options: SynchronizerOptions) {
    this.#options = options;
  }

  /** Begins to follow a peer, where an earlier run left off. Does nothing where it is followed already. Rejects with BusError. */
  async add(options: PeerOptions): Promise<void> {
    const { bus, timer, poll } = this.#options;
    const { peer, include, exclude } = options;
    const filter = new TopicFilter(include, exclude);
    const cursorKey = filter.text === "" ? peer : `${peer} ${filter.text}`;
    const adding = { peer, removed: false };
    this.#adding.add(adding);
    try {
      const cursor = await bus.peerCursor(cursorKey);
      const states = (await bus.peerSyncStates()).filter((state) => state.peer === peer);
      if (adding.removed || this.#closed || this.#workers.has(peer)) return;
      const state = new PeerState(peer, cursorKey, states, cursor, bus, timer);
      const ports = { ...this.#options, state, leases: this.#leases, filter };
      this.#workers.set(peer, new PeerWorker(options, ports, poll));
    } finally {
      this.#adding.delete(adding);
    }
  }

  /** Follows a peer no more, also one that is just being added. */
  async remove(peer: string): Promise<void> {
    for (const adding of this.#adding) if (adding.peer === peer) adding.removed = true;
    const worker = this.#workers.get(peer);
    this.#workers.delete(peer);
    await worker?.close();
  }

  /** All peers. */
  peers(): readonly PeerSummary[] {
    return [...this.#workers.values()].map(({ ports }) => ports.state.summary());
  }

  /** Writes down what is known at this moment. */
  async record(): Promise<void> {
    await Promise.all([...this.#workers.values()].map(({ ports }) => ports.state.record()));
  }

  /**
   * Decides about the forked logs of an origin at a peer. Rejects with not_found where there is none, and with
   * failed_precondition where the peer must be asked and can't. Logs that were decided before a failure stay so; to call
   * again decides the rest.
   */
  async resolve(request: ResolveRequest): Promise<readonly ResolvedFork[]> {
    const worker = this.#workers.get(request.peer);
    if (worker === undefined) {
      const known = [...this.#workers.keys()].join(", ");
      throw new BusError(
        "not_found",
        `Cannot resolve: there is no peer "${request.peer}"; known are: ${known}`,
      );
    }
    const { state } = worker.ports;
    const forked = [...state.logs()].filter((copy) =>
      isSameNode(copy.origin, request.origin) && (request.topic === "" || copy.topic === request.topic) &&
      (copy.fork === "open" || copy.fork === "refused" && request.decision === "adopt")
    );
    if (forked.length === 0) {
      const what = request.topic === "" ? "log" : `log "${request.topic}"`;
      throw new BusError(
        "not_found",
        `Cannot resolve: no ${what} of ${formatNode(request.origin)} is forked at ${request.peer}`,
      );
    }
    if (request.decision === "adopt") await this.#requireAdoptable(worker, request, forked);
    const resolved: ResolvedFork[] = [];
    try {
      for (const copy of forked) {
        const { topic, origin } = copy;
        if (request.decision === "refuse") copy.fork = "refused";
        const archive = request.decision === "refuse" ? "" : await this.#adopt(worker, copy);
        state.changed(copy);
        resolved.push({ topic, origin, archive });
      }
    } finally { // what was decided before a failure stays so
      await state.record();
      // Others may have the log that was set aside, and said so long ago.
      if (resolved.some(({ archive }) => archive !== "")) {
        for (const other of this.#workers.values()) if (other !== worker) other.connection?.session.restart();
      }
    }
    return resolved;
  }

  /** Ends all sessions and records what is known. May be called again. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#workers.values()].map((worker) => worker.close()));
  }

  /**
   * This node's own logs are taken back all at once, and only where it has published nothing else since: a marker of what
   * it once deleted must not stand before the messages that it publishes now.
   */
  async #requireAdoptable(
    worker: PeerWorker,
    { peer, topic, origin }: ResolveRequest,
    forked: readonly LogCopy[],
  ): Promise<void> {
    const { bus } = this.#options;
    if (!isSameNode(origin, bus.node)) return;
    if (topic !== "") {
      throw new BusError(
        "failed_precondition",
        `Cannot adopt "${topic}": a node takes its own logs back all at once; leave the topic out`,
      );
    }
    const session = worker.connection?.session;
    for (const copy of forked) {
      const { headId } = bus.logHead(copy.topic, origin);
      if (session === undefined || headId === 0 || await session.agrees(copy, headId)) continue;
      throw new BusError(
        "failed_precondition",
        `Cannot adopt the logs of this node from ${peer}: it has published other messages to "${copy.topic}" since; refuse ` +
          "here, and adopt its new logs at the peers",
      );
    }
  }

  /** Takes the peer's log. Says under which name ours was set aside; "" where it is the beginning of the peer's. */
  async #adopt(worker: PeerWorker, copy: LogCopy): Promise<string> {
    const { bus } = this.#options;
    const { topic, origin } = copy;
    const connection = worker.connection;
    if (connection === undefined) {
      throw new BusError(
        "failed_precondition",
        `Cannot adopt "${topic}": ${worker.options.peer} can't be reached; try again when it can`,
      );
    }
    const { headId } = bus.logHead(topic, origin);
    const isBeginning = headId === 0 || await connection.session.agrees(copy, headId);
    const { session } = connection;
    if (!isBeginning) {
      this.#leases.seize(topic, origin, session);
      for (const { connection } of this.#workers.values()) connection?.session.beginAnew(topic, origin);
    }
    const archive = isBeginning ? "" : await bus.archive(topic, origin);
    copy.adopted(isSameNode(origin, bus.node));
    session.copyAdopted(copy);
    return archive;
  }
}
