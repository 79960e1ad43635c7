import { Deliveries } from "./deliveries.ts";
import { Histogram } from "./histogram.ts";
import { Subscribers } from "./subscribers.ts";
import type { BenchRun, BenchTopic } from "./workload.ts";

/** A topic with live subscribers and one publisher who does not wait, and how long its messages take. */
export class LiveTopic implements AsyncDisposable {
  /** From when a message counts as sent to its acknowledgement. */
  readonly acknowledged = new Histogram();
  readonly #run: BenchRun;
  readonly #topic: BenchTopic;
  readonly #subscribers: Subscribers;
  readonly #deliveries: Deliveries;
  #wake: () => void = () => {};
  #failure: unknown;
  #sent = 0;
  #inFlight = 0;

  private constructor(run: BenchRun, topic: BenchTopic, subscribers: Subscribers, count: number) {
    this.#run = run;
    this.#topic = topic;
    this.#subscribers = subscribers;
    this.#deliveries = new Deliveries(count, () => this.#wake());
    run.stop.addEventListener("abort", () => this.#wake(), { once: true });
    subscribers.follow(this.#deliveries, run.now, (error) => this.#fail(error));
  }

  /** Settles when all subscribers are live. Throws MsgbusError. */
  static async start(run: BenchRun, name: string, subscribers: number): Promise<LiveTopic> {
    const topic = await run.topic(name);
    return new LiveTopic(run, topic, await Subscribers.start(run, topic, subscribers), subscribers);
  }

  /** From when a message counts as sent to each of its deliveries. */
  get delivered(): Histogram {
    return this.#deliveries.latency;
  }

  /** Messages without an acknowledgement. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Messages that some subscriber lacks. */
  get undelivered(): number {
    return this.#sent - this.#deliveries.complete;
  }

  /** Publishes a message that counts as sent at `sentMs`. Failures are thrown by {@linkcode until}. */
  publish(sentMs: number): void {
    this.#sent++;
    this.#inFlight++;
    void this.#publish(sentMs);
  }

  /** Waits until it is so, or the user stops the run. Throws what a publish or a subscriber failed with. */
  async until(done: () => boolean): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (done() || this.#run.stop.aborted) return;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Ends the subscriptions when nothing is in flight any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#inFlight > 0) await new Promise<void>((resolve) => this.#wake = resolve);
    await this.#subscribers[Symbol.asyncDispose]();
  }

  async #publish(sentMs: number): Promise<void> {
    try {
      const { headId } = await this.#run.client.publish(this.#topic.name, this.#run.payloads.next());
      this.acknowledged.record(this.#run.now() - sentMs);
      this.#topic.head = Math.max(this.#topic.head, headId);
      this.#deliveries.sent(headId, sentMs);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#inFlight--;
      this.#wake();
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#wake();
  }
}
