import type { Histogram } from "./histogram.ts";
import { BENCH_LIMITS } from "./limits.ts";
import { LiveTopic } from "./live_topic.ts";
import type { Workload } from "./workload.ts";

/**
 * `latency`: an open loop. Every message is due at its own time, whatever became of those before it, and is measured
 * from then: a daemon that stands still for a while can't hide it by keeping the publisher waiting.
 */
export const latency: Workload = async (run) => {
  const { rate, seconds, messages } = run.sizes;
  const name = `latency at ${rate}/s`;
  const total = Math.max(1, Math.floor(Math.min(messages, rate * seconds)));
  await using live = await LiveTopic.start(run, "latency", 1);
  const begin = run.now();
  for (let sent = 0; sent < total && !run.stop.aborted;) {
    const due = Math.min(total, Math.floor((run.now() - begin) * rate / 1_000) + 1);
    while (sent < due && live.inFlight < BENCH_LIMITS.openLoopInFlight) {
      live.publish(begin + sent++ * 1_000 / rate);
    }
    run.progress(name, sent / total);
    await new Promise((resolve) => setTimeout(resolve, 1));
    await live.until(() => true);
  }
  await live.until(() => live.undelivered === 0);
  const spent = (run.now() - begin) / 1_000;
  const row = (what: string, histogram: Histogram) => ({
    name: `${name}, publish to ${what}`,
    messages: histogram.count,
    seconds: spent,
    latency: histogram,
    inFlight: undefined,
  });
  return [row("ack", live.acknowledged), row("deliver", live.delivered)];
};
