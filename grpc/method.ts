import type { FramedMessage } from "./message_reader.ts";
import type { ServerCall, StreamingServerCall } from "./server_call.ts";

/** One response: its bytes, or a message that was framed already. */
export type UnaryResponse = Uint8Array | FramedMessage;

/** What answers the calls of one method. Messages are bytes: the codec is the service's own. */
export type MethodHandler = MethodKind & {
  /** Refuses a call by throwing StatusError, before any of its messages is looked at, let alone decompressed. */
  admit?(call: ServerCall): void;
};

/** The four kinds of methods. */
export type MethodKind =
  /** One request, one response. */
  | {
    readonly kind: "unary";
    handle(request: Uint8Array, call: ServerCall): UnaryResponse | Promise<UnaryResponse>;
  }
  /** One request, many responses, through `call.write`. */
  | {
    readonly kind: "server_streaming";
    handle(request: Uint8Array, call: StreamingServerCall): Promise<void>;
  }
  /** Many requests, one response. Leaving the iteration, also while it waits, takes no more of them. */
  | {
    readonly kind: "client_streaming";
    handle(requests: AsyncIterable<Uint8Array>, call: ServerCall): Promise<UnaryResponse>;
  }
  /** Many requests, many responses, in any order. Leaving the iteration does the same. */
  | {
    readonly kind: "bidi_streaming";
    handle(requests: AsyncIterable<Uint8Array>, call: StreamingServerCall): Promise<void>;
  };

/** Finds the handler of a path such as "/package.Service/Method". */
export type MethodTable = ReadonlyMap<string, MethodHandler>;
