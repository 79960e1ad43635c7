import type { CallOptions } from "./call_options.ts";
import type { NodeId } from "./node_id.ts";

/**
 * What to do about a forked log. "adopt" takes the peer's; the one here is set aside, unless it is the beginning of the
 * peer's. "refuse" keeps the one here and copies no more of it from this peer; "adopt" may follow later.
 */
export type ForkDecision = "adopt" | "refuse";

/** Which forked logs to decide about, and how. */
export interface ResolveForkOptions extends CallOptions {
  /** The peer's endpoint, as {@linkcode Client.syncStates} gives it. */
  readonly peer: string;
  /** The daemon at which the log was published. */
  readonly origin: NodeId;
  /** The log's topic; all forked logs of the origin where absent. */
  readonly topic?: string;
  /** What to do. */
  readonly decision: ForkDecision;
}

/** A log that was decided about. */
export interface ResolvedFork {
  /** Its topic. */
  readonly topic: string;
  /** The daemon at which it was published. */
  readonly origin: NodeId;
  /** The name under which the log here was set aside, for {@linkcode Client.fetch}; undefined where it was not. */
  readonly archive: string | undefined;
}

/** A log that was set aside. */
export interface ArchivedLog {
  /** Its topic. */
  readonly topic: string;
  /** The daemon at which it was published. */
  readonly origin: NodeId;
  /** Its name, for {@linkcode Client.fetch}. */
  readonly archive: string;
  /** Its last head. */
  readonly headId: number;
}
