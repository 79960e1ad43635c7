import { ErrorCode } from "./error_code.ts";
import { Http2Error } from "./http2_error.ts";
import type { Http2Limits } from "./limits.ts";
import { TokenBucket } from "./token_bucket.ts";

/** Bytes that a DATA frame carries at least, on average. */
const MIN_AVERAGE_DATA_BYTES = 3;
/** Bytes that WINDOW_UPDATE opens at least: the smallest gRPC message, for a peer that answers each frame with one. */
const MIN_WINDOW_INCREMENT = 5;
/** WINDOW_UPDATE frames that may be saved up for later. */
const MAX_SAVED_WINDOW_UPDATES = 100_000;

/** Counts what a peer may do only so often. Over a rate, it throws the connection error ENHANCE_YOUR_CALM (§10.5). */
export class PeerBudget {
  readonly #resets: TokenBucket;
  readonly #pings: TokenBucket;
  readonly #settings: TokenBucket;
  readonly #idleFrames: TokenBucket;
  readonly #tinyData: TokenBucket;
  #windowUpdates = 0;

  /** Starts with full buckets. */
  constructor(limits: Http2Limits) {
    this.#resets = new TokenBucket(limits.resets);
    this.#pings = new TokenBucket(limits.pings);
    this.#settings = new TokenBucket(limits.settings);
    this.#idleFrames = new TokenBucket(limits.idleFrames);
    this.#tinyData = new TokenBucket(limits.tinyData);
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

  /** DATA with `bytes`, more than none, and without END_STREAM. */
  data(bytes: number, nowMs: number): void {
    const missing = MIN_AVERAGE_DATA_BYTES - bytes;
    if (missing <= 0) this.#tinyData.give(-missing);
    else charge(this.#tinyData, nowMs, "DATA comes in too tiny frames", missing);
  }

  /** WINDOW_UPDATE by `increment`, where what we sent since the last one explains `earned` of them. */
  windowUpdate(increment: number, earned: number, nowMs: number): void {
    this.#windowUpdates = Math.min(MAX_SAVED_WINDOW_UPDATES, this.#windowUpdates + earned);
    if (this.#windowUpdates > 0 && increment >= MIN_WINDOW_INCREMENT) this.#windowUpdates--;
    else this.idleFrame(nowMs);
  }
}

function charge(bucket: TokenBucket, nowMs: number, what: string, count = 1): void {
  if (!bucket.take(nowMs, count)) throw new Http2Error(ErrorCode.ENHANCE_YOUR_CALM, what);
}
