import { Fork, type PeerSyncState as WirePeerSyncState } from "@msgbus/proto";
import { numberFromWire } from "./head_number.ts";
import { type NodeId, nodeIdOf } from "./node_id.ts";

/** How far a daemon has copied one log from one peer. */
export interface PeerSyncState {
  /** The peer's endpoint. */
  readonly peer: string;
  /** The log's topic. */
  readonly topic: string;
  /** The log's origin. */
  readonly origin: NodeId;
  /** Last head here. */
  readonly localHead: number;
  /** Last head there, when it was asked. */
  readonly remoteHead: number;
  /** Last head that was copied. */
  readonly lastSyncedHead: number;
  /** Milliseconds since the Unix epoch of the last attempt; 0 for never. */
  readonly lastAttemptAtMs: number;
  /** Milliseconds since the Unix epoch of the last success; 0 for never. */
  readonly lastSuccessAtMs: number;
  /** Failures since the last success. */
  readonly consecutiveFailures: number;
  /** The last failure; empty for none. */
  readonly lastError: string;
  /** The data directory in which the log here was written; empty where it is unknown. */
  readonly localIncarnation: string;
  /** The data directory in which the log there was written; empty where it is unknown. */
  readonly remoteIncarnation: string;
  /**
   * Whether the two are no copies of one log: "open" is not copied until somebody decides ({@linkcode Client.resolveFork}),
   * "refused" is not copied because somebody did.
   */
  readonly fork: "none" | "open" | "refused";
}

const FORKS = {
  [Fork.UNSPECIFIED]: "none",
  [Fork.OPEN]: "open",
  [Fork.REFUSED]: "refused",
} as const satisfies Record<Fork, PeerSyncState["fork"]>;

/** The state as the wire has it. */
export function peerSyncStateOf(wire: WirePeerSyncState): PeerSyncState {
  const { peer, topic, consecutiveFailures, lastError, localIncarnation, remoteIncarnation } = wire;
  return {
    peer,
    topic,
    origin: nodeIdOf(wire.origin),
    localHead: numberFromWire(wire.localHead),
    remoteHead: numberFromWire(wire.remoteHead),
    lastSyncedHead: numberFromWire(wire.lastSyncedHead),
    lastAttemptAtMs: numberFromWire(wire.lastAttemptAtMs),
    lastSuccessAtMs: numberFromWire(wire.lastSuccessAtMs),
    consecutiveFailures,
    lastError,
    localIncarnation,
    remoteIncarnation,
    fork: FORKS[wire.fork],
  };
}
