import type { NodeName, ReplicatedMessage } from "../store/store.ts";

/** Who a peer says that it is. */
export interface PeerIdentity {
  readonly node: NodeName;
  /** "" where it says none: the first implementation has none. */
  readonly incarnation: string;
}

/** A log as a peer has it. */
export interface RemoteHead {
  readonly topic: string;
  readonly origin: NodeName;
  readonly headId: number;
  /** "" where it says none. */
  readonly incarnation: string;
}

/** Why a peer could not be asked. */
export type PeerErrorCode =
  /** It can't be reached, or went away. */
  | "unreachable"
  /** It does not have what was asked for. */
  | "unimplemented"
  /** It says no, or what it says is wrong. */
  | "refused";

/** What a link fails with. */
export class PeerError extends Error {
  override readonly name = "PeerError";
  readonly code: PeerErrorCode;

  constructor(code: PeerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** One session of SyncService with a peer: encoded requests out, encoded responses in. */
export interface SyncStream {
  send(request: Uint8Array): void;
  /** What has arrived, at least one; null after the last. Throws PeerError. */
  nextBatch(): Promise<readonly Uint8Array[] | null>;
  cancel(): void;
}

/** The way to a peer: one connection. Everything rejects with PeerError. */
export interface PeerLink {
  identify(): Promise<PeerIdentity>;
  /** What the peer says to prove that it knows the shared secret, and is at that address. */
  prove(nonce: Uint8Array, address: string): Promise<Uint8Array>;
  /** All logs of the peer. */
  heads(): Promise<readonly RemoteHead[]>;
  /** The head of one log as it is now; 0 when the peer does not have it. */
  head(topic: string, origin: NodeName): Promise<number>;
  /** Messages of one log from a head on, at most `limit`; fewer, where they are large. None: the peer has none there. */
  fetch(topic: string, origin: NodeName, fromHeadId: number, limit: number): Promise<ReplicatedMessage[]>;
  /** Begins a session. Fails with "unimplemented", from `nextBatch`, where the peer has no SyncService. */
  sync(): SyncStream;
  close(): Promise<void>;
}

/** Makes the way to a peer; connects when it is used. Rejects with PeerError when what it needs can't be read. */
export type Dial = () => Promise<PeerLink>;
