import { type Client, connect, type MessageStream } from "@msgbus/sdk";

const TOPIC = "bystander";
/** Milliseconds between two publishes. */
const INTERVAL_MS = 5;

/** An honest client of the same daemon, which publishes and follows at a steady rate, and notes what that took. */
export class Bystander implements AsyncDisposable {
  readonly #client: Client;
  readonly #subscription: MessageStream;
  readonly #publishing: Promise<void>;
  readonly #following: Promise<void>;
  readonly #stop = new AbortController();
  #latenciesMs: number[] = [];
  #published = 0;
  #followed = 0;
  #last: number | undefined;

  private constructor(address: string) {
    this.#client = connect(address);
    this.#subscription = this.#client.subscribe(TOPIC);
    this.#publishing = this.#publish();
    this.#following = this.#follow();
    // They are told by finish(); where that is not called, something else has failed before.
    for (const work of [this.#publishing, this.#following]) work.catch(() => {});
  }

  /** Starts to publish. */
  static start(address: string): Bystander {
    return new Bystander(address);
  }

  /** Milliseconds that each publish took since the last call, in ascending order. */
  takeLatencies(): readonly number[] {
    const taken = this.#latenciesMs.sort((a, b) => a - b);
    this.#latenciesMs = [];
    return taken;
  }

  /** Stops and returns how many were published and how many came back; throws where a publish failed or one came out of order. */
  async finish(): Promise<{ readonly published: number; readonly followed: number }> {
    this.#stop.abort();
    await this.#publishing;
    // One more, for the follower to know where the end is.
    this.#last = this.#published + 1;
    await this.#client.publish(TOPIC, new Uint8Array(0));
    this.#published++;
    await this.#following;
    return { published: this.#published, followed: this.#followed };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#client.close();
  }

  async #publish(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const begin = performance.now();
      await this.#client.publish(TOPIC, new Uint8Array(100));
      this.#published++;
      const tookMs = performance.now() - begin;
      this.#latenciesMs.push(tookMs);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, INTERVAL_MS - tookMs)));
    }
  }

  async #follow(): Promise<void> {
    while (this.#last === undefined || this.#followed < this.#last) {
      const { value } = await this.#subscription.next();
      if (value?.headId !== this.#followed + 1) {
        throw new Error(`head ${value?.headId} came after ${this.#followed}`);
      }
      this.#followed++;
    }
  }
}

/** The value below which `part` of the sorted values lie. */
export function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}
