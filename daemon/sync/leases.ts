import { LogMap, type NodeName } from "../store/store.ts";

/** Who copies a log, and may be asked to leave it to another. */
export interface LeaseHolder {
  /**
   * Gives the log up when it has nothing more of it to copy, or where a pace is given, at which it has copied and which is
   * too slow: messages per millisecond. Says whether it did.
   */
  yieldLog(topic: string, origin: NodeName, pace: number | undefined): boolean;
  /** The log may be free: to be looked at again. */
  leaseFreed(topic: string, origin: NodeName): void;
}

/** Who copies which log: each from one peer at a time, so that nothing is sent twice where peers form cycles. */
export class Leases {
  readonly #holders = new LogMap<LeaseHolder>();
  readonly #sessions = new Set<LeaseHolder>();

  join(session: LeaseHolder): void {
    this.#sessions.add(session);
  }

  /** To be called when the session has released all its logs. */
  leave(session: LeaseHolder): void {
    this.#sessions.delete(session);
  }

  /** Whether the log is the caller's now. */
  claim(topic: string, origin: NodeName, by: LeaseHolder): boolean {
    const holder = this.#holders.get(topic, origin);
    if (holder === undefined) this.#holders.set(topic, origin, by);
    return holder === undefined || holder === by;
  }

  /** Who copies the log. */
  holder(topic: string, origin: NodeName): LeaseHolder | undefined {
    return this.#holders.get(topic, origin);
  }

  /** The same as `claim`, from a holder that has nothing more to copy, or whose pace is given because it is too slow. */
  takeOver(topic: string, origin: NodeName, by: LeaseHolder, pace: number | undefined): boolean {
    const holder = this.#holders.get(topic, origin);
    if (holder !== undefined && holder !== by && !holder.yieldLog(topic, origin, pace)) return false;
    this.#holders.set(topic, origin, by);
    return true;
  }

  /** Makes the log the caller's, whoever had it: they are to be told. */
  seize(topic: string, origin: NodeName, by: LeaseHolder): void {
    this.#holders.set(topic, origin, by);
  }

  release(topic: string, origin: NodeName, by: LeaseHolder): void {
    if (this.#holders.get(topic, origin) !== by) return;
    this.#holders.delete(topic, origin);
    for (const session of this.#sessions) if (session !== by) session.leaseFreed(topic, origin);
  }
}
