import type { HeaderField } from "./hpack/header_field.ts";
import type { Http2Error } from "./http2_error.ts";

/** What received bytes, or sent ones, brought about. Byte views stay valid as long as the received array does. */
export type Http2Event =
  /** A request (server) or the response headers (client) arrived; informational responses are left out. */
  | {
    readonly type: "headers";
    readonly streamId: number;
    readonly fields: readonly HeaderField[];
    readonly endStream: boolean;
  }
  /** A piece of the body. The receiver calls `consume` when it has used it, or the window stays shut. */
  | {
    readonly type: "data";
    readonly streamId: number;
    readonly bytes: Uint8Array;
    readonly endStream: boolean;
  }
  /** Trailers arrived; the peer's half has ended. */
  | { readonly type: "trailers"; readonly streamId: number; readonly fields: readonly HeaderField[] }
  /** A stream ended early, by the peer's RST_STREAM or GOAWAY or by ours for its fault. */
  | { readonly type: "reset"; readonly streamId: number; readonly code: number; readonly by: "peer" | "us" }
  /** Everything queued on the stream has left for the output. */
  | { readonly type: "drained"; readonly streamId: number }
  /** Nothing that is queued on the stream has left for long: see `findStalled`. */
  | { readonly type: "stalled"; readonly streamId: number }
  /** The peer's SETTINGS changed, or a stream ended: a waiting call may open one now. */
  | { readonly type: "capacity" }
  /** After our GOAWAY, the last stream has ended: everything that was promised is in the output. */
  | { readonly type: "idle" }
  /** The peer answered a PING. */
  | { readonly type: "pong" }
  /** The peer will take no new streams. Streams above `lastStreamId` were never looked at and got their own "reset". */
  | { readonly type: "goaway"; readonly lastStreamId: number; readonly code: number; readonly debug: string }
  /** The connection is over: send what the output still holds, then close. All streams are gone. */
  | { readonly type: "failed"; readonly error: Http2Error };
