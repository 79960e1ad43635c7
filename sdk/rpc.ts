import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  type CallOptions as GrpcCallOptions,
  Channel,
  type ChannelCompression,
  type Clock,
  type Connect,
  Metadata,
  type ResponseStream,
  StatusError,
  systemClock,
} from "@msgbus/grpc";
import { type Backoff, backoffMs, checkBackoff, DEFAULT_BACKOFF } from "./backoff.ts";
import type { CallOptions } from "./call_options.ts";
import type { ClientOptions } from "./client_options.ts";
import { MsgbusError, toMsgbusError } from "./error.ts";
import { SDK_LIMITS } from "./limits.ts";
import { sleep } from "./sleep.ts";
import { authorityOf, parseTarget } from "./target.ts";
import { VERSION } from "./version.ts";

const DEFAULT_TIMEOUT_MS = 30_000;
const MAX_TIMEOUT_MS = 0x7fff_ffff;

/** Calls to one daemon: codec, deadline, errors. What is called, and with what, is the client's. */
export class Rpc {
  /** What the daemon is called in errors. */
  readonly target: string;
  /** The client's time. */
  readonly clock: Clock;
  /** How long to wait between attempts to connect. */
  readonly backoff: Backoff;
  /** Chance, 0 to 1. */
  readonly random: () => number;
  readonly #channel: Channel;
  readonly #timeoutMs: number;
  readonly #maxMessageBytes: number;
  /** Whether a call that found no daemon tries again. */
  readonly waitForReady: boolean;
  /** The errors of attempts to connect: a call that ended with one of them was never sent. */
  readonly #connectErrors = new WeakSet<object>();

  /** Connects when the first call needs it. Throws TypeError for a bad target, RangeError for bad options. */
  constructor(target: string, options: ClientOptions) {
    this.target = target;
    this.clock = options.clock ?? systemClock;
    this.random = options.random ?? Math.random;
    this.backoff = checkBackoff({ ...DEFAULT_BACKOFF, ...options.backoff });
    this.#timeoutMs = checkedTimeout(options.timeoutMs) ?? DEFAULT_TIMEOUT_MS;
    this.waitForReady = options.waitForReady ?? false;
    this.#maxMessageBytes = options.maxMessageBytes ?? SDK_LIMITS.maxMessageBytes;
    const connectTimeoutMs = checkedTimeout(options.connectTimeoutMs);
    const { connect, authority, scheme } = options.connect === undefined
      ? parseTarget(target, options.tls)
      : { connect: options.connect, authority: authorityOf(target), scheme: "http" as const };
    this.#channel = new Channel(this.#remembering(connect), {
      authority,
      scheme,
      userAgent: options.userAgent ?? `msgbus-sdk/${VERSION}`,
      limits: { maxReceiveMessageBytes: this.#maxMessageBytes },
      clock: this.clock,
      ...(options.token !== undefined && { metadata: credentials(target, options) }),
      ...(options.compression !== undefined && { compression: compressionOf(options.compression) }),
      ...(connectTimeoutMs !== undefined && { connectTimeoutMs }),
    });
  }

  /** Calls a method with one answer, of which at least `maxAnswerBytes` are taken where that is given. Throws MsgbusError. */
  async unary<Request extends DescMessage, Response extends DescMessage>(
    method: DescMethodUnary<Request, Response>,
    request: MessageInitShape<Request>,
    options: CallOptions | undefined,
    maxAnswerBytes = 0,
  ): Promise<MessageShape<Response>> {
    const said = maxAnswerBytes > this.#maxMessageBytes ? { maxReceiveMessageBytes: maxAnswerBytes } : {};
    const answer = await this.unaryBytes(
      pathOf(method),
      toBinary(method.input, create(method.input, request)),
      options,
      said,
    );
    try {
      return fromBinary(method.output, answer);
    } catch (error) {
      throw new MsgbusError(
        "INTERNAL",
        `Cannot read the daemon's answer: it is no ${method.output.typeName}`,
        {
          cause: error,
        },
      );
    }
  }

  /** The same with encoded messages, and what else is to be said of the call. */
  async unaryBytes(
    path: string,
    request: Uint8Array,
    options: CallOptions | undefined,
    more: Pick<GrpcCallOptions, "metadata" | "maxReceiveMessageBytes"> = {},
  ): Promise<Uint8Array> {
    const timeoutMs = this.timeoutOf(options);
    const signal = options?.signal;
    const said = { ...signal !== undefined && { signal }, ...more };
    try {
      if (this.waitForReady) return await this.#patientUnary(path, request, timeoutMs, said);
      return await this.#channel.unary(path, request, { timeoutMs, ...said });
    } catch (error) {
      throw toMsgbusError(error, this.target);
    }
  }

  /** Milliseconds that a call may take. Throws RangeError. */
  timeoutOf(options: CallOptions | undefined): number {
    return checkedTimeout(options?.timeoutMs) ?? this.#timeoutMs;
  }

  /** Calls a method with many requests and many answers; what the stream throws is for {@linkcode errorOf}. */
  bidi(
    path: string,
    requests: AsyncIterable<Uint8Array>,
    options: { readonly signal: AbortSignal },
  ): ResponseStream {
    return this.#channel.bidiStreaming(path, requests, options);
  }

  /** Calls a method with many answers; what the stream throws is for {@linkcode errorOf}. */
  stream(
    path: string,
    request: Uint8Array,
    options: { readonly signal: AbortSignal; readonly timeoutMs?: number },
  ): ResponseStream {
    return this.#channel.serverStreaming(path, request, options);
  }

  /** The client's error for what a stream threw. */
  errorOf(thrown: unknown): MsgbusError {
    return toMsgbusError(thrown, this.target);
  }

  /** Ends all calls and the connection. */
  close(): Promise<void> {
    return this.#channel.close();
  }

  async #patientUnary(
    path: string,
    request: Uint8Array,
    timeoutMs: number,
    said: GrpcCallOptions,
  ): Promise<Uint8Array> {
    const deadlineMs = this.clock.nowMs() + timeoutMs;
    for (let failures = 1;; failures++) {
      const leftMs = Math.max(1, deadlineMs - this.clock.nowMs());
      try {
        return await this.#channel.unary(path, request, { timeoutMs: leftMs, ...said });
      } catch (error) {
        const waitMs = backoffMs(this.backoff, failures, this.random);
        if (!this.neverSent(error) || this.clock.nowMs() + waitMs >= deadlineMs) throw error;
        await sleep(this.clock, waitMs, said.signal);
      }
    }
  }

  /** Whether a call ended before anything of it was sent. */
  neverSent(thrown: unknown): boolean {
    return thrown instanceof StatusError && typeof thrown.cause === "object" && thrown.cause !== null &&
      this.#connectErrors.has(thrown.cause);
  }

  #remembering(connect: Connect): Connect {
    return async (signal) => {
      try {
        return await connect(signal);
      } catch (error) {
        if (typeof error === "object" && error !== null) this.#connectErrors.add(error);
        throw error;
      }
    };
  }
}

/** What every call carries to say whose it is. Throws TypeError where a token can't be sent, or should not be. */
function credentials(target: string, options: ClientOptions): Metadata {
  const { token = "", tls, connect, plaintextToken = false } = options;
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new TypeError("Cannot use the token: it is empty or not printable ASCII");
  }
  const secret = connect !== undefined || plaintextToken || (tls !== undefined && tls !== false) ||
    staysSecret(target);
  if (!secret) {
    throw new TypeError(
      `Cannot send a token to ${JSON.stringify(target)}: without TLS everyone on the way can read it; ` +
        "use https://, or set plaintextToken",
    );
  }
  return new Metadata({ authorization: `Bearer ${token}` });
}

/** Whether what is sent to the target is encrypted or stays on this machine. */
function staysSecret(target: string): boolean {
  return /^(unix:|https:|wss:|quic:)/.test(target) ||
    /^(localhost|127(\.[0-9]+){3}|\[::1\])(:|$)/.test(authorityOf(target));
}

function compressionOf(compression: NonNullable<ClientOptions["compression"]>): ChannelCompression {
  return typeof compression === "string" ? { encoding: compression } : compression;
}

/** The path of a method on the wire. */
export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function checkedTimeout(ms: number | undefined): number | undefined {
  if (ms === undefined || (ms > 0 && ms <= MAX_TIMEOUT_MS)) return ms;
  throw new RangeError(`Cannot use timeout ${ms}: give milliseconds from 1 to ${MAX_TIMEOUT_MS}`);
}
