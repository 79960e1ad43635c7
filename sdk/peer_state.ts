import { PeerMode, type PeerState as WirePeerState } from "@msgbus/proto";
import { numberFromWire } from "./head_number.ts";
import { type NodeId, nodeIdOf } from "./node_id.ts";

/** What a daemon knows of one peer as a whole. */
export interface PeerState {
  /** The peer's endpoint. */
  readonly peer: string;
  /** Who it said that it is, the last time; undefined where it was never reached. */
  readonly node: NodeId | undefined;
  /** Its data directory; empty where it is unknown. */
  readonly incarnation: string;
  /**
   * How it is followed at the moment: "stream" gets what is new by itself, "poll" asks again and again, and "none" has no
   * connection.
   */
  readonly mode: "none" | "stream" | "poll";
  /** Logs of which the peer is known to have more. */
  readonly logsBehind: number;
  /** Messages that the peer is known to have and the daemon lacks. */
  readonly messagesBehind: number;
  /** Milliseconds since the Unix epoch of the last attempt to connect, or to poll; 0 for never. */
  readonly lastAttemptAtMs: number;
  /** Milliseconds since the Unix epoch of the last success; 0 for never. */
  readonly lastSuccessAtMs: number;
  /** Failures since a connection held. */
  readonly consecutiveFailures: number;
  /** Why there is no connection; empty where there is one. */
  readonly lastError: string;
}

const MODES = {
  [PeerMode.UNSPECIFIED]: "none",
  [PeerMode.STREAM]: "stream",
  [PeerMode.POLL]: "poll",
} as const satisfies Record<PeerMode, PeerState["mode"]>;

/** The state as the wire has it. */
export function peerStateOf(wire: WirePeerState): PeerState {
  const { peer, node, incarnation, mode, consecutiveFailures, lastError } = wire;
  return {
    peer,
    node: node && nodeIdOf(node),
    incarnation,
    mode: MODES[mode],
    logsBehind: numberFromWire(wire.logsBehind),
    messagesBehind: numberFromWire(wire.messagesBehind),
    lastAttemptAtMs: numberFromWire(wire.lastAttemptAtMs),
    lastSuccessAtMs: numberFromWire(wire.lastSuccessAtMs),
    consecutiveFailures,
    lastError,
  };
}
