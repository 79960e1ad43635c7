import type { ListenAddress } from "./listen_address.ts";
import type { PeerAddress } from "./peer_address.ts";
import type { SyncTopics } from "./sync_topics.ts";

/** Where messages are kept. */
export type StorageKind = "sqlite" | "kv" | "memory";
/** When a publish is acknowledged: after the fsync of its commit, or after the commit. */
export type Durability = "full" | "normal";
/** The least severe log records that are written. */
export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";
/** How log records are written: a line for people, or one JSON object per line. */
export type LogFormat = "text" | "json";

/** The name of a daemon. */
export interface NodeName {
  readonly tenantId: string;
  readonly blName: string;
  readonly deviceId: string;
}

/** Files of a server's TLS, each readable when the configuration was read. */
export interface TlsFiles {
  readonly certPath: string;
  readonly keyPath: string;
  /** Clients must show a certificate of this authority, where present. */
  readonly clientCaPath: string | undefined;
}

/** Files and names for TLS to peers. */
export interface PeerTls {
  readonly caPath: string | undefined;
  /** SHA-256 of the certificates that peers may have, in place of an authority; empty where that is asked. */
  readonly fingerprints: readonly string[];
  /** Our own certificate and its key: both or neither. */
  readonly certPath: string | undefined;
  readonly keyPath: string | undefined;
  /** The name that the peers' certificates must carry, where it is not the host of the endpoint. */
  readonly domain: string | undefined;
}

/** A daemon to copy from, and what of it. */
export type Peer = PeerAddress & SyncTopics;

/** How to find peers on the local network. */
export interface DiscoveryConfig extends SyncTopics {
  /** The file of the secret that they must know; undefined: TLS decides. */
  readonly secretPath: string | undefined;
  /** IPv4 address of the network interface; 0.0.0.0 leaves the choice to the system. */
  readonly interfaceAddress: string;
}

/** Everything a daemon is told at its start: complete and validated. */
export interface Config {
  /** At least one address. */
  readonly listen: readonly ListenAddress[];
  /** Origins of the web pages that may connect by WebSocket; "*" is every page. */
  readonly webSocketOrigins: readonly string[];
  /** The file of the storage; unused by "memory". */
  readonly dataPath: string;
  readonly storage: StorageKind;
  readonly durability: Durability;
  /** Idempotency keys and runs of producers that are remembered. */
  readonly dedupKeys: number;
  /** Milliseconds that they are. */
  readonly dedupAgeMs: number;
  /** Size from which on a message is compressed for clients that compress theirs. */
  readonly minCompressBytes: number;
  /** The node this daemon is. */
  readonly node: NodeName;
  readonly peers: readonly Peer[];
  /** The file of the token to show to peers; none where it is undefined. */
  readonly peerTokenPath: string | undefined;
  /** How to find peers on the local network; undefined where nobody asked for it. */
  readonly discovery: DiscoveryConfig | undefined;
  /** Milliseconds between two pulls from a peer. */
  readonly syncIntervalMs: number;
  /** Messages of one pull. */
  readonly syncBatchLimit: number;
  /** TLS of the listeners that are secure; there are none where it is undefined. */
  readonly tls: TlsFiles | undefined;
  /** TLS to peers; undefined where no flag asks for it. */
  readonly peerTls: PeerTls | undefined;
  /** The file of tokens; everybody may do everything where it is undefined. */
  readonly authPath: string | undefined;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
  /** What the operator should know, one line each: to be logged at start. */
  readonly warnings: readonly string[];
}
