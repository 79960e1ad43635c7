/** What a test says of one call beside its messages. */
export interface CallSettings {
  readonly metadata?: Readonly<Record<string, string | Uint8Array>>;
  readonly timeoutMs?: number;
}

/** How a call ended: OK is the code 0, and nothing throws. */
export interface Outcome {
  readonly code: number;
  readonly message: string;
  /** The metadata before the messages, the first value of each name. */
  readonly header: Readonly<Record<string, string | Uint8Array>>;
  /** The metadata after the messages, the first value of each name. */
  readonly trailer: Readonly<Record<string, string | Uint8Array>>;
}

/** A call with one response at most. */
export interface UnaryCall {
  /** Its end; the response where the code is OK. */
  readonly answer: Promise<Outcome & { readonly response: Uint8Array | undefined }>;
  cancel(): void;
}

/** A call with many responses. */
export interface StreamingCall {
  /** The next response; undefined after the last. */
  next(): Promise<Uint8Array | undefined>;
  /** Its end; responses that nobody has asked for are passed over. */
  outcome(): Promise<Outcome>;
  cancel(): void;
}

/** The requests of a call, given one by one. */
export interface Requests {
  send(request: Uint8Array): void;
  finish(): void;
}

/** A client of any gRPC library, as the cases use it. */
export interface InteropClient {
  unary(path: string, request: Uint8Array, settings?: CallSettings): UnaryCall;
  clientStreaming(path: string, settings?: CallSettings): UnaryCall & Requests;
  serverStreaming(path: string, request: Uint8Array, settings?: CallSettings): StreamingCall;
  bidiStreaming(path: string, settings?: CallSettings): StreamingCall & Requests;
}
