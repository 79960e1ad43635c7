import type { NodeName } from "../store/store.ts";
import { HEADS_PER_TURN, POLLED_LOGS_AT_ONCE } from "./limits.ts";
import type { LogCopy } from "./log_copy.ts";
import { PeerSession, type SessionPorts } from "./peer_session.ts";

/** How a peer is asked again and again. */
export interface PollOptions {
  /** Milliseconds between two rounds. */
  readonly intervalMs: number;
  /** Messages of one Fetch. */
  readonly batchLimit: number;
}

/** Follows a peer by its heads, which are asked for again and again (CONTRACT.md §3): for those without SyncService. */
export class PollSession extends PeerSession {
  readonly #options: PollOptions;
  /** Logs to copy, and from which head on. */
  readonly #due = new Map<LogCopy, number>();
  readonly #copying = new Set<LogCopy>();
  #cancelWait: () => void = () => {};

  constructor(ports: SessionPorts, options: PollOptions) {
    super(ports);
    this.#options = options;
  }

  async run(): Promise<void> {
    await Promise.race([this.#poll(), this.failed]);
  }

  override end(): void {
    if (this.ended) return;
    const logs = [...this.#due.keys(), ...this.#copying];
    this.#due.clear();
    this.#cancelWait();
    super.end();
    for (const { topic, origin } of logs) this.ports.leases.release(topic, origin, this);
  }

  yieldLog(topic: string, origin: NodeName, pace: number | undefined): boolean {
    // It holds a log only while it copies it.
    const copy = this.ports.state.log(topic, origin);
    if (!this.copying(copy)) return true;
    if (pace === undefined) return false;
    const waits = this.#due.has(copy);
    this.leaveLog(copy);
    this.pause(copy, waits ? undefined : pace);
    return true;
  }

  protected hasRoom(): boolean {
    return this.#copying.size < POLLED_LOGS_AT_ONCE;
  }

  protected copying(copy: LogCopy): boolean {
    return this.#due.has(copy) || this.#copying.has(copy);
  }

  protected canCopy(): boolean {
    return true;
  }

  protected copy(copy: LogCopy, fromHeadId: number): void {
    this.#due.set(copy, fromHeadId);
    while (this.#copying.size < POLLED_LOGS_AT_ONCE && this.#copyNext());
  }

  protected leaveLog(copy: LogCopy): void {
    this.#due.delete(copy);
    this.#copying.delete(copy);
  }

  async #poll(): Promise<void> {
    const { bus, link, state, filter, now } = this.ports;
    while (!this.ended) {
      state.lastAttemptAtMs = now();
      const heads = await link.heads();
      this.checkCount(heads.length, this.knownLogs());
      for (const [at, head] of heads.entries()) {
        if (at % HEADS_PER_TURN === HEADS_PER_TURN - 1) await this.#rest(0);
        if (this.ended) return;
        if (!filter.passes(head.topic) || !this.isKeepable(head.topic, head.origin)) continue;
        const copy = state.heard(head);
        // The peer may have set its log aside between two rounds: what comes next must fit what we have.
        if (!this.copying(copy) && head.headId > bus.logHead(head.topic, head.origin).headId) {
          copy.forgetAgreement();
        }
        this.consider(copy);
      }
      state.lastSuccessAtMs = now();
      await this.#rest(this.#options.intervalMs);
    }
  }

  /** Settles after so many milliseconds, or when the session ends. */
  #rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.ports.timer(ms, resolve);
      this.#cancelWait = () => {
        cancel();
        resolve();
      };
    });
  }

  #copyNext(): boolean {
    for (const [copy, fromHeadId] of this.#due) {
      this.#due.delete(copy);
      this.#copying.add(copy);
      void this.#copyLog(copy, fromHeadId);
      return true;
    }
    return false;
  }

  async #copyLog(copy: LogCopy, fromHeadId: number): Promise<void> {
    const { leases } = this.ports;
    try {
      for (let next = fromHeadId; next <= copy.remoteHead && !this.ended && this.#copying.has(copy);) {
        const messages = await this.fetch(copy, next, this.#options.batchLimit);
        if (messages.length === 0) break; // the peer has less than it said: the next round tells
        if (!this.#copying.has(copy)) break; // it was left meanwhile
        await this.apply(copy, messages);
        next += messages.length;
      }
    } catch (error) {
      this.#copying.delete(copy);
      this.logFailed(copy, error);
      return this.#more();
    }
    this.#copying.delete(copy);
    leases.release(copy.topic, copy.origin, this);
    this.#more();
  }

  #more(): void {
    if (!this.ended) { while (this.#copying.size < POLLED_LOGS_AT_ONCE && this.#copyNext()); }
  }
}
