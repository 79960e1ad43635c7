import { Histogram } from "./histogram.ts";
import { Pace } from "./pace.ts";
import type { Workload } from "./workload.ts";

/** `fifo`: enqueue, peek and ack, one after the other; each message counts when it is acknowledged. */
export const fifo: Workload = async (run) => {
  const name = "fifo";
  const queue = run.client.fifo(await run.queue());
  const latency = new Histogram();
  const pace = new Pace(run, name);
  while (pace.take()) {
    const begin = run.now();
    await queue.enqueue(run.payloads.next());
    const message = await queue.peek();
    if (message === undefined || !await queue.ack(message)) {
      throw new Error(`somebody else takes messages out of the queue ${queue.name}`);
    }
    latency.record(run.now() - begin);
  }
  return [{ name, messages: latency.count, seconds: pace.seconds(), latency, inFlight: 1 }];
};
