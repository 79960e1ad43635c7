import type { Clock, Connect, Encoding } from "@msgbus/grpc";
import type { TlsClientOptions } from "@msgbus/grpc/tls";
import type { Backoff } from "./backoff.ts";

/** How a client behaves where the defaults do not fit. */
export interface ClientOptions {
  /** Milliseconds that a call with one answer may take; default 30,000. Its end is MsgbusError "DEADLINE_EXCEEDED". */
  readonly timeoutMs?: number;
  /** Milliseconds that one attempt to connect may take; default 10,000. Its end is MsgbusError "UNAVAILABLE". */
  readonly connectTimeoutMs?: number;
  /**
   * Whether a call that found no daemon tries again until its `timeoutMs` is over; default false. Only connecting is
   * tried again: what a daemon may have seen is never sent twice.
   */
  readonly waitForReady?: boolean;
  /** How long to wait between attempts to connect; what is missing is 100 ms, doubled up to 5 s, with 20 % of chance. */
  readonly backoff?: Partial<Backoff>;
  /** The `user-agent` that the daemon sees; default "msgbus-sdk/" and the version. */
  readonly userAgent?: string;
  /** Largest message that is received, in bytes; default 8 MiB. A larger one ends its call with "RESOURCE_EXHAUSTED"; `heads()` takes 64 MiB at least. */
  readonly maxMessageBytes?: number;
  /**
   * TLS to the daemon: true for the authorities that the runtime knows, or whom to trust and what to show. Without it,
   * TLS is used for targets that begin with "https://", "wss://" or "quic://".
   */
  readonly tls?: boolean | TlsClientOptions;
  /**
   * A token of the daemon's `--auth-file`, sent with every call. It travels over TLS, unix sockets and within the machine
   * only, unless `plaintextToken` is true.
   */
  readonly token?: string;
  /** Lets a token travel without TLS to another machine, where everyone on the way can read it; default false. */
  readonly plaintextToken?: boolean;
  /**
   * Compresses payloads on the way: "gzip", "zstd", "snappy" or "lz4", from `minBytes` on (default 8,192). Throws TypeError
   * where this runtime does not have the encoding. Default: nothing is compressed, which is best on one machine.
   */
  readonly compression?: Encoding | { readonly encoding: Encoding; readonly minBytes?: number };
  /** Opens a connection, in place of the target's way: for embedding and tests. */
  readonly connect?: Connect;
  /** The client's time; the runtime's where none is given. For tests. */
  readonly clock?: Clock;
  /** Chance, 0 to 1; Math.random where none is given. For tests. */
  readonly random?: () => number;
}
