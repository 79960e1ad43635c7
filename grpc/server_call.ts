import type { FramedMessage } from "./message_reader.ts";
import type { Metadata } from "./metadata.ts";
import type { PeerIdentity } from "./transport/peer_identity.ts";

/** What a handler knows of its call, and may say beside its messages. */
export interface ServerCall {
  /** "/package.Service/Method". */
  readonly path: string;
  /** Who is at the other end of the connection, for logs. */
  readonly peer: string;
  /** Who that is by a client certificate that was checked; undefined where the listener demands none. */
  readonly identity: PeerIdentity | undefined;
  /** The request's metadata. */
  readonly metadata: Metadata;
  /** Aborted when the client cancels or is gone, the deadline is over, or the server stops: nobody waits any more. */
  readonly signal: AbortSignal;
  /** Milliseconds until the deadline; undefined where the client set none. */
  readonly remainingMs: number | undefined;
  /** Metadata to send before the first message. Setting it later has no effect. */
  readonly header: Metadata;
  /** Metadata to send with the status. */
  readonly trailer: Metadata;
}

/** The call of a handler with many responses. */
export interface StreamingServerCall extends ServerCall {
  /**
   * Sends a message and waits while more than the limit of bytes waits for the client's window. Throws StatusError
   * when the call is over. The bytes must not change afterwards.
   */
  write(message: Uint8Array | FramedMessage): Promise<void>;
  /**
   * Sends a message without waiting; false asks the handler to wait for {@linkcode ready} before the next one.
   * Does nothing when the call is over: {@linkcode ready} tells.
   */
  send(message: Uint8Array | FramedMessage): boolean;
  /**
   * Says that nobody looks at the bytes of a request any more: where they came in pieces, their memory is used for later
   * messages. Optional, and for handlers that take many large requests.
   */
  release(request: Uint8Array): void;
  /** Settles when the queue has room. Throws StatusError when the call is over, and the signal's reason when that is aborted. */
  ready(signal?: AbortSignal): Promise<void>;
  /**
   * Waits in line with the other calls of the connection until there is room for more of this one's messages, then runs
   * `make`. For a handler whose messages cost something to get: what `make` reads is read only when it can soon be sent,
   * and for few calls of a connection at a time. What it returns is best sent whole, at once.
   *
   * Throws as {@linkcode ready} does, also when the call ended while `make` ran; without calling it, when that was before.
   */
  inTurn<T>(make: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}
