import type { NodeName, PeerSyncState } from "../store/store.ts";
import { LogMap } from "../store/store.ts";
import type { Bus } from "../bus/bus.ts";
import { PEER_ITSELF } from "../bus/names.ts";
import { LogCopy } from "./log_copy.ts";
import { RECORD_INTERVAL_MS } from "./limits.ts";
import type { PeerIdentity, RemoteHead } from "./peer_link.ts";
import type { Timer } from "../bus/timer.ts";

/** How a peer is followed at the moment. */
export type PeerMode = "none" | "stream" | "poll";

/** What is known of one peer as a whole. */
export interface PeerSummary {
  readonly peer: string;
  readonly identity: PeerIdentity | undefined;
  readonly mode: PeerMode;
  readonly logsBehind: number;
  readonly messagesBehind: number;
  readonly lastAttemptAtMs: number;
  readonly lastSuccessAtMs: number;
  readonly consecutiveFailures: number;
  readonly lastError: string;
}

/** How far the announcements of a peer were followed. */
export interface PeerPosition {
  readonly incarnation: string;
  readonly sequence: number;
  readonly opening: string;
}

const NOBODY: NodeName = { tenantId: "", blName: "", deviceId: "" };

/** What recording needs. */
export type StateBus = Pick<Bus, "logHead" | "recordPeerSync">;

/** What is known of one peer and its logs, and its record in the store. */
export class PeerState {
  /** What the peer is called. */
  readonly peer: string;
  identity: PeerIdentity | undefined;
  mode: PeerMode = "none";
  lastAttemptAtMs = 0;
  lastSuccessAtMs = 0;
  consecutiveFailures = 0;
  lastError = "";
  readonly #cursorKey: string;
  readonly #bus: StateBus;
  readonly #timer: Timer;
  readonly #logs = new LogMap<LogCopy>();
  readonly #unrecorded = new Set<LogCopy>();
  #position: PeerPosition | undefined;
  #positionRecorded = true;
  #peerRecorded = true;
  #cancelTimer: (() => void) | undefined;
  #recording: Promise<void> = Promise.resolve();
  #closed = false;

  /** `cursorKey` names the position: it holds for this peer as it is filtered now. */
  constructor(
    peer: string,
    cursorKey: string,
    states: readonly PeerSyncState[],
    position: PeerPosition | undefined,
    bus: StateBus,
    timer: Timer,
  ) {
    this.peer = peer;
    this.#cursorKey = cursorKey;
    this.#bus = bus;
    this.#timer = timer;
    this.#position = position;
    for (const state of states) {
      if (state.topic === PEER_ITSELF) this.#restore(state);
      else this.#logs.set(state.topic, state.origin, LogCopy.restore(state));
    }
  }

  get position(): PeerPosition | undefined {
    return this.#position;
  }

  log(topic: string, origin: NodeName): LogCopy {
    let copy = this.#logs.get(topic, origin);
    if (copy === undefined) this.#logs.set(topic, origin, copy = new LogCopy(topic, origin));
    return copy;
  }

  logs(): IterableIterator<LogCopy> {
    return this.#logs.values();
  }

  heard(head: RemoteHead): LogCopy {
    const copy = this.log(head.topic, head.origin);
    // Whoever polls hears the same again and again.
    if (copy.heard(head)) this.changed(copy);
    return copy;
  }

  /** The peer told everything up to a position: what we lack of it is in the states. */
  reached(position: PeerPosition): void {
    this.#position = position;
    this.#positionRecorded = false;
    this.#schedule();
  }

  /** The next session is told everything. */
  forgetPosition(): void {
    this.#position = undefined;
    this.#positionRecorded = true;
  }

  /** To be called after the peer was reached, or failed for another reason than before. */
  peerChanged(): void {
    this.#peerRecorded = false;
    this.#schedule();
  }

  /** To be called after what is known of a log changed. */
  changed(copy: LogCopy): void {
    this.#unrecorded.add(copy);
    this.#schedule();
  }

  /** Writes down what has changed. Settles when it is durable; what could not be written is kept for the next time. */
  record(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    return this.#recording = this.#recording.then(() => this.#record());
  }

  /** What the peer is behind, and all else that people want to see of it. */
  summary(): PeerSummary {
    let [logsBehind, messagesBehind] = [0, 0];
    for (const { topic, origin, remoteHead } of this.#logs.values()) {
      const missing = remoteHead - this.#bus.logHead(topic, origin).headId;
      if (missing <= 0) continue;
      logsBehind++;
      messagesBehind += missing;
    }
    const { peer, identity, mode, lastAttemptAtMs, lastSuccessAtMs, consecutiveFailures, lastError } = this;
    return {
      peer,
      identity,
      mode,
      logsBehind,
      messagesBehind,
      lastAttemptAtMs,
      lastSuccessAtMs,
      consecutiveFailures,
      lastError,
    };
  }

  /** Records what is left, and nothing after it. */
  async close(): Promise<void> {
    await this.record();
    this.#closed = true;
    this.#cancelTimer?.();
  }

  /** The peer as a whole, in the form of a log's state. */
  #itself(): PeerSyncState {
    const { peer, identity, lastAttemptAtMs, lastSuccessAtMs, consecutiveFailures, lastError } = this;
    return {
      peer,
      topic: PEER_ITSELF,
      origin: identity?.node ?? NOBODY,
      localHead: 0,
      remoteHead: 0,
      lastSyncedHead: 0,
      lastAttemptAtMs,
      lastSuccessAtMs,
      consecutiveFailures,
      lastError,
      localIncarnation: "",
      remoteIncarnation: identity?.incarnation ?? "",
      fork: "none",
    };
  }

  #restore(state: PeerSyncState): void {
    // There is one for each node that the peer ever was: the last counts.
    if (state.lastAttemptAtMs < this.lastAttemptAtMs) return;
    this.lastAttemptAtMs = state.lastAttemptAtMs;
    this.lastSuccessAtMs = state.lastSuccessAtMs;
    this.consecutiveFailures = state.consecutiveFailures;
    this.lastError = state.lastError;
    if (state.origin.deviceId === "") return;
    this.identity = { node: state.origin, incarnation: state.remoteIncarnation };
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#cancelTimer ??= this.#timer(RECORD_INTERVAL_MS, () => {
      this.#cancelTimer = undefined;
      void this.record();
    });
  }

  async #record(): Promise<void> {
    const copies = [...this.#unrecorded];
    const position = this.#positionRecorded ? undefined : this.#position;
    if (copies.length === 0 && position === undefined && this.#peerRecorded) return;
    this.#unrecorded.clear();
    this.#peerRecorded = true;
    this.#positionRecorded = true;
    const states = copies.map((copy) => copy.state(this.peer, this.#bus.logHead(copy.topic, copy.origin)));
    try {
      states.push(this.#itself());
      await this.#bus.recordPeerSync(states, position && { peer: this.#cursorKey, ...position });
    } catch {
      // A store that can't write says so by itself; here nothing is lost but the time to hear it all again.
      for (const copy of copies) this.#unrecorded.add(copy);
      if (position !== undefined) this.#positionRecorded = false;
      this.#peerRecorded = false;
      this.#schedule();
    }
  }
}
