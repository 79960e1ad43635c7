import { BENCH_LIMITS } from "./limits.ts";
import { LiveTopic } from "./live_topic.ts";
import { Pace } from "./pace.ts";
import type { BenchRun, Measured, Workload } from "./workload.ts";

/** `fanout`: one publisher, live subscribers. A message counts once for each of them; its time is from sending to that. */
export const fanout: Workload = async (run) => {
  const rows: Measured[] = [];
  for (const count of run.sizes.subscribers) {
    if (!run.stop.aborted) rows.push(await fanoutTo(run, count));
  }
  return rows;
};

async function fanoutTo(run: BenchRun, count: number): Promise<Measured> {
  const name = `fanout 1 to ${count}`;
  const inFlight = BENCH_LIMITS.fanoutInFlight;
  await using live = await LiveTopic.start(run, `fanout-${count}`, count);
  const pace = new Pace(run, name, Math.ceil(run.sizes.messages / count));
  while (pace.take()) {
    live.publish(run.now());
    await live.until(() => live.undelivered < inFlight);
  }
  await live.until(() => live.undelivered === 0);
  const { delivered } = live;
  return { name, messages: delivered.count, seconds: pace.seconds(), latency: delivered, inFlight };
}
