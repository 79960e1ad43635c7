import { Pace } from "./pace.ts";
import { publishInFlight } from "./publish.ts";
import type { BenchRun, BenchTopic, Measured, Workload } from "./workload.ts";

/** `replay`: one consumer of the longest topic of this run; where nothing was published before, that is done first. */
export const replay: Workload = async (run) => {
  const topic = run.published()[0] ?? await fill(run);
  const name = "replay";
  const begin = run.now();
  const stream = run.client.consume(topic.name, { follow: false, signal: run.stop });
  let messages = 0;
  for (let batch = await stream.nextBatch(); batch !== null; batch = await stream.nextBatch()) {
    messages += batch.length;
    run.progress(name, messages / topic.head);
    if ((run.now() - begin) / 1_000 >= run.sizes.seconds) break;
  }
  stream.close();
  const seconds = (run.now() - begin) / 1_000;
  return [{ name, messages, seconds, latency: undefined, inFlight: undefined } satisfies Measured];
};

async function fill(run: BenchRun): Promise<BenchTopic> {
  const topic = await run.topic("replay");
  await publishInFlight(run, topic, new Pace(run, "publishing for replay"), run.sizes.inFlight);
  return topic;
}
