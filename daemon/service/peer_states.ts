import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  Fork,
  PeerMode,
  type PeerState,
  PeerStateSchema,
  type PeerSyncState as WireState,
  PeerSyncStateSchema,
} from "@msgbus/proto";
import type { NodeName, PeerSyncState } from "../store/store.ts";

/** One peer as a whole, as the synchronization knows it. */
export interface PeerSummary {
  readonly peer: string;
  /** What it said that it is, the last time. */
  readonly identity: { readonly node: NodeName; readonly incarnation: string } | undefined;
  readonly mode: "none" | "stream" | "poll";
  readonly logsBehind: number;
  readonly messagesBehind: number;
  readonly lastAttemptAtMs: number;
  readonly lastSuccessAtMs: number;
  readonly consecutiveFailures: number;
  readonly lastError: string;
}

/** What the service asks the synchronization. */
export interface PeerStates {
  /** Writes down what is known at this moment. */
  record(): Promise<void>;
  peers(): readonly PeerSummary[];
}

const FORKS = { none: Fork.UNSPECIFIED, open: Fork.OPEN, refused: Fork.REFUSED };
const MODES = { none: PeerMode.UNSPECIFIED, stream: PeerMode.STREAM, poll: PeerMode.POLL };

export function wireSyncState(state: PeerSyncState): WireState {
  const init: MessageInitShape<typeof PeerSyncStateSchema> = {
    ...state,
    localHead: BigInt(state.localHead),
    remoteHead: BigInt(state.remoteHead),
    lastSyncedHead: BigInt(state.lastSyncedHead),
    lastAttemptAtMs: BigInt(state.lastAttemptAtMs),
    lastSuccessAtMs: BigInt(state.lastSuccessAtMs),
    fork: FORKS[state.fork],
  };
  return create(PeerSyncStateSchema, init);
}

export function wirePeerState({ identity, ...summary }: PeerSummary): PeerState {
  return create(PeerStateSchema, {
    peer: summary.peer,
    ...identity !== undefined && { node: identity.node },
    incarnation: identity?.incarnation ?? "",
    mode: MODES[summary.mode],
    logsBehind: BigInt(summary.logsBehind),
    messagesBehind: BigInt(summary.messagesBehind),
    lastAttemptAtMs: BigInt(summary.lastAttemptAtMs),
    lastSuccessAtMs: BigInt(summary.lastSuccessAtMs),
    consecutiveFailures: summary.consecutiveFailures,
    lastError: summary.lastError,
  });
}
