import type { PeerIdentity } from "./peer_identity.ts";

/** One open connection as a pair of byte streams. */
export interface ByteStream {
  /** What the other end is called, for logs: "tcp:127.0.0.1:40000", "unix:", "memory". */
  readonly peer: string;
  /** Who that is by a certificate that was checked; undefined where none was asked for. */
  readonly identity?: PeerIdentity | undefined;
  /** The next bytes, or null when the other end has finished or the stream is closed. The bytes are never overwritten. Throws when the connection broke. */
  read(): Promise<Uint8Array | null>;
  /** Writes all bytes and settles when the transport took them. They must not change before that. Throws when the connection broke. */
  write(bytes: Uint8Array): Promise<void>;
  /** Tells the other end that nothing follows; reading goes on. */
  closeWrite(): Promise<void>;
  /** Ends both directions at once; a pending read ends with null. May be called again. */
  close(): void;
}

/** A place where connections arrive. */
export interface Listener {
  /** What clients connect to: "127.0.0.1:50051", "unix:/run/server.sock", "memory". */
  readonly address: string;
  /** The next connection, or null when the listener is closed. */
  accept(): Promise<ByteStream | null>;
  /** Takes no more connections; those that are open go on. May be called again. */
  close(): void;
}

/** Opens one connection. Throws where it can't. */
export type Connect = (signal?: AbortSignal) => Promise<ByteStream>;
