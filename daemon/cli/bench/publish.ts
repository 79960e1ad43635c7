import { Histogram } from "./histogram.ts";
import { Pace } from "./pace.ts";
import type { BenchRun, BenchTopic, Measured, Workload } from "./workload.ts";

/** One publish, which counts in the topic's head and, where given, in the histogram. */
export async function publishOne(run: BenchRun, topic: BenchTopic, latency?: Histogram): Promise<void> {
  const begin = run.now();
  const { headId } = await run.client.publish(topic.name, run.payloads.next());
  latency?.record(run.now() - begin);
  topic.head = Math.max(topic.head, headId);
}

/** Publishes with always so many in flight; settles when all are acknowledged. */
export async function publishInFlight(
  run: BenchRun,
  topic: BenchTopic,
  pace: Pace,
  inFlight: number,
  latency?: Histogram,
): Promise<void> {
  const lane = async () => {
    while (pace.take()) await publishOne(run, topic, latency);
  };
  await allSettled(Array.from({ length: inFlight }, lane));
}

/** Waits for all, so that nothing is left in flight, and throws the first failure. */
export async function allSettled(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) {
    if (result.status === "rejected") throw result.reason;
  }
}

/** `publish-sync`: one in flight. */
export const publishSync: Workload = (run) => pipelined(run, "publish-sync", 1);

/** `publish-pipelined`: many in flight. */
export const publishPipelined: Workload = (run) => pipelined(run, "publish-pipelined", run.sizes.inFlight);

async function pipelined(run: BenchRun, name: string, inFlight: number): Promise<readonly Measured[]> {
  const topic = await run.topic(name);
  const latency = new Histogram();
  const pace = new Pace(run, name);
  await publishInFlight(run, topic, pace, inFlight, latency);
  return [{ name, messages: latency.count, seconds: pace.seconds(), latency, inFlight }];
}

/** `publish-batch`: waves, each of which is acknowledged before the next. */
export const publishBatch: Workload = async (run) => {
  const name = "publish-batch";
  const topic = await run.topic(name);
  const latency = new Histogram();
  const pace = new Pace(run, name);
  for (let more = true; more;) {
    const wave: Promise<void>[] = [];
    while (wave.length < run.sizes.batch && (more = pace.take())) wave.push(publishOne(run, topic, latency));
    await allSettled(wave);
  }
  const inFlight = run.sizes.batch;
  return [{ name, messages: latency.count, seconds: pace.seconds(), latency, inFlight }];
};
