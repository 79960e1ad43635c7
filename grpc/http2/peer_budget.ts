import { ErrorCode } from "./error_code.ts";
import { Http2Error } from "./http2_error.ts";
import type { Http2Limits } from "./limits.ts";
import { TokenBucket } from "./token_bucket.ts";

/** Counts what a peer may do only so often. Over a rate, it throws the connection error ENHANCE_YOUR_CALM (§10.5). */
export class PeerBudget {
  readonly #resets: TokenBucket;
  readonly #pings: TokenBucket;
  readonly #settings: TokenBucket;
  readonly #idleFrames: TokenBucket;

  /** Starts with full buckets. */
  constructor(limits: Http2Limits) {
    this.#resets = new TokenBucket(limits.resets);
    this.#pings = new TokenBucket(limits.pings);
    this.#settings = new TokenBucket(limits.settings);
    this.#idleFrames = new TokenBucket(limits.idleFrames);
  }

  /** A stream was reset by the peer, or by us for the peer's fault. */
  reset(nowMs: number): void {
    charge(this.#resets, nowMs, "streams are reset too fast");
  }

  /** A PING asks for an answer. */
  ping(nowMs: number): void {
    charge(this.#pings, nowMs, "PING comes too fast");
  }

  /** SETTINGS ask for an answer. */
  settings(nowMs: number): void {
    charge(this.#settings, nowMs, "SETTINGS come too fast");
  }

  /** A frame came that carries nothing. */
  idleFrame(nowMs: number): void {
    charge(this.#idleFrames, nowMs, "frames that carry nothing come too fast");
  }
}

function charge(bucket: TokenBucket, nowMs: number, what: string): void {
  if (!bucket.take(nowMs)) throw new Http2Error(ErrorCode.ENHANCE_YOUR_CALM, what);
}
