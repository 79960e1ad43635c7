import { NAME_BYTES } from "../bus/limits.ts";
import { formatNode, isName, isSameNode } from "../bus/names.ts";
import { BusError } from "../bus/error.ts";
import type { NodeName } from "../store/store.ts";
import { backoffMs } from "./backoff.ts";
import { AT_ONCE_MS, HELD_MS, PROBE_INTERVAL_MS, STEADY_MS } from "./limits.ts";
import { type Dial, PeerError, type PeerIdentity, type PeerLink } from "./peer_link.ts";
import type { PeerSession, SessionPorts } from "./peer_session.ts";
import { type PollOptions, PollSession } from "./poll_session.ts";
import type { SharedSecret } from "./shared_secret.ts";
import { StreamSession } from "./stream_session.ts";

/** One peer, as it was configured or discovered. */
export interface PeerOptions {
  /** What it is called: its endpoint. */
  readonly peer: string;
  readonly dial: Dial;
  /** Who it must be; anyone but ourselves where undefined. */
  readonly identity: NodeName | undefined;
  /** Patterns of the topics to copy; all where there is none. */
  readonly include: readonly string[];
  /** Patterns of topics not to copy. */
  readonly exclude: readonly string[];
  /** What the peer must prove to know, and the "host:port" where it is; nothing where undefined. */
  readonly proof?: { readonly secret: SharedSecret; readonly address: string } | undefined;
}

/** What a worker needs beside what its sessions do. */
export type WorkerPorts = Omit<SessionPorts, "link" | "identity" | "answerMs">;

/** Keeps following one peer: dials, follows, and after a failure waits and dials again. */
export class PeerWorker {
  readonly options: PeerOptions;
  readonly ports: WorkerPorts;
  readonly #poll: PollOptions;
  readonly #running: Promise<void>;
  #session: PeerSession | undefined;
  #link: PeerLink | undefined;
  #closed = false;
  /** Whether the connection that ended last had held for a while: then a new one may come at once. */
  #held = false;
  #cancelHeld: () => void = () => {};
  /** Failures since a connection was steady by which the peer would not have this node, or is not to be had. */
  #refusals = 0;
  #wake: () => void = () => {};
  #cancelSteady: () => void = () => {};

  /** Begins at once. */
  constructor(options: PeerOptions, ports: WorkerPorts, poll: PollOptions) {
    this.options = options;
    this.ports = ports;
    this.#poll = poll;
    this.#running = this.#run();
  }

  /** The connection, while there is one; and the session on it. */
  get connection(): { readonly link: PeerLink; readonly session: PeerSession } | undefined {
    return this.#link && this.#session && { link: this.#link, session: this.#session };
  }

  /** Ends the session and records what is known. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    this.#session?.end();
    await this.#link?.close();
    await this.#running;
    await this.ports.state.close();
  }

  async #run(): Promise<void> {
    const { state, events, random, now } = this.ports;
    while (!this.#closed) {
      state.lastAttemptAtMs = now();
      let failure: unknown;
      this.#held = false;
      try {
        this.#link = await this.options.dial();
        if (!this.#closed) await this.#follow(this.#link);
      } catch (error) {
        failure = error;
      }
      this.#cancelSteady();
      this.#cancelHeld();
      this.#session = undefined;
      state.mode = "none";
      await this.#link?.close();
      this.#link = undefined;
      if (this.#closed) return;
      state.consecutiveFailures++;
      const reason = reasonOf(failure);
      if (reason !== state.lastError) state.peerChanged();
      state.lastError = reason;
      const unreachable = failure instanceof PeerError && failure.code === "unreachable";
      if (!unreachable) this.#refusals++;
      // Who can't be reached is probed, so that a link that comes up again is used at once; everybody else is spared.
      const waitMs = unreachable
        ? (this.#held ? AT_ONCE_MS * random() : PROBE_INTERVAL_MS * (0.5 + random() / 2))
        : backoffMs(this.#refusals, random);
      events.failed(state.peer, state.lastError, waitMs);
      await this.#wait(waitMs);
    }
  }

  async #follow(link: PeerLink): Promise<void> {
    const { state } = this.ports;
    const begin = this.ports.now();
    const identity = await link.identify();
    const answerMs = Math.max(0, this.ports.now() - begin);
    this.#check(identity);
    const { proof } = this.options;
    await proof?.secret.demand(link, identity, proof.address);
    state.identity = identity;
    const ports: SessionPorts = { ...this.ports, link, identity, answerMs };
    try {
      const { include, exclude } = this.options;
      await this.#hold(new StreamSession(ports, include, exclude, () => this.#connected(identity, "stream")));
    } catch (error) {
      if (!(error instanceof PeerError) || error.code !== "unimplemented") throw error;
    }
    this.#connected(identity, "poll");
    await this.#hold(new PollSession(ports, this.#poll));
  }

  async #hold(session: PeerSession): Promise<void> {
    if (this.#closed) return session.end();
    this.#session = session;
    try {
      await session.run();
    } finally {
      session.end();
    }
  }

  #connected(identity: PeerIdentity, mode: "stream" | "poll"): void {
    const { state, events, now, timer } = this.ports;
    state.mode = mode;
    state.lastSuccessAtMs = now();
    state.lastError = "";
    state.peerChanged();
    this.#cancelHeld();
    this.#cancelHeld = timer(HELD_MS, () => this.#held = true);
    this.#cancelSteady();
    this.#cancelSteady = timer(STEADY_MS, () => {
      state.consecutiveFailures = 0;
      this.#refusals = 0;
    });
    events.connected(state.peer, identity, mode);
  }

  #check({ node, incarnation }: PeerIdentity): void {
    const { identity } = this.options;
    const names = [node.tenantId, node.blName, node.deviceId];
    if (!names.every(isName) || incarnation.length > NAME_BYTES) {
      throw new PeerError("refused", "the peer says that it has a name that no node may have");
    }
    if (isSameNode(node, this.ports.bus.node)) {
      throw new PeerError(
        "refused",
        `the peer says that it is ${
          formatNode(node)
        }, as this node is; give every node a name of its own, and no node ` +
          "itself as a peer",
      );
    }
    if (identity !== undefined && !isSameNode(node, identity)) {
      throw new PeerError(
        "refused",
        `the peer says that it is ${formatNode(node)}, and must be ${formatNode(identity)}`,
      );
    }
  }

  async #wait(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.ports.timer(ms, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}

function reasonOf(failure: unknown): string {
  if (failure instanceof PeerError || failure instanceof BusError) return failure.message;
  return failure instanceof Error ? `an unexpected error occurred: ${failure.message}` : "it ended";
}
