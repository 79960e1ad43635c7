import type { Client, MessageStream } from "@msgbus/sdk";
import type { Deliveries } from "./deliveries.ts";
import type { BenchRun, BenchTopic } from "./workload.ts";

/** Connected at the same time; more would only wait for the daemon's accept. */
const CONNECTED_AT_ONCE = 50;

/** Live subscribers of a topic, each with a connection of its own. */
export class Subscribers implements AsyncDisposable {
  readonly #clients: Client[] = [];
  readonly #streams: MessageStream[] = [];
  readonly #following: Promise<void>[] = [];

  private constructor() {}

  /** Starts so many; settles when each has a first message, which is published for that, and so is live. */
  static async start(run: BenchRun, topic: BenchTopic, count: number): Promise<Subscribers> {
    const subscribers = new Subscribers();
    try {
      topic.head = (await run.client.publish(topic.name, run.payloads.next())).headId;
      for (let opened = 0; opened < count && !run.stop.aborted;) {
        const opening = Math.min(CONNECTED_AT_ONCE, count - opened);
        await Promise.all(Array.from({ length: opening }, () => subscribers.#open(run, topic)));
        opened += opening;
        run.progress(`connecting ${count} subscribers`, opened / count);
      }
      return subscribers;
    } catch (error) {
      await subscribers[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Tells of all that comes from now on; `failed` is called where a subscription ends with an error. */
  follow(deliveries: Deliveries, now: () => number, failed: (error: unknown) => void): void {
    for (const stream of this.#streams) {
      const following = async () => {
        for (let batch = await stream.nextBatch(); batch !== null; batch = await stream.nextBatch()) {
          const atMs = now();
          for (const { headId } of batch) deliveries.arrived(headId, atMs);
        }
      };
      this.#following.push(following().catch(failed));
    }
  }

  /** Ends the subscriptions and their connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#streams) stream.close();
    await Promise.all(this.#following);
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  async #open(run: BenchRun, topic: BenchTopic): Promise<void> {
    const client = run.another();
    this.#clients.push(client);
    const stream = client.consume(topic.name, { from: { head: topic.head }, signal: run.stop });
    this.#streams.push(stream);
    await stream.nextBatch();
  }
}
