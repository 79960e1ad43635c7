import type { PeerSyncState as WirePeerSyncState } from "@msgbus/proto";
import { numberFromWire } from "./head_number.ts";
import { type NodeId, nodeIdOf } from "./node_id.ts";

/** How far a daemon has copied one log from one peer. */
export interface PeerSyncState {
  /** The peer's endpoint. */
  readonly peer: string;
  /** The log's topic; empty where the state is the peer's as a whole. */
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
}

/** The state as the wire has it. */
export function peerSyncStateOf(wire: WirePeerSyncState): PeerSyncState {
  const { peer, topic, consecutiveFailures, lastError } = wire;
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
  };
}
