import { connect } from "@msgbus/sdk";
import { DaemonProcess } from "../tests/daemon_process.ts";
import { fdatasyncTimes } from "./fdatasync.ts";
import type { Row } from "./report.ts";
import type { StorageBench } from "./storage.ts";

const TOPIC = "bench";
const PAYLOAD_BYTES = 100;
const RATE = 10_000;
const WARM_UP_SECONDS = 2;
const SECONDS = 10;
const ROUNDS = 3;

/** How long a message takes to its live consumer, counted from when it was due, while many others come at a steady rate. */
export async function deliveryAtRate(bench: StorageBench): Promise<Row[]> {
  const rounds: { readonly p50: number; readonly p99: number; readonly floor: number }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const floor = quantile(await fdatasyncTimes(bench.folder), 0.99);
    await using daemon = await DaemonProcess.start(["--data", bench.newData()]);
    await deliveries(daemon.address, WARM_UP_SECONDS);
    const times = await deliveries(daemon.address, SECONDS);
    await daemon.stop();
    rounds.push({ p50: quantile(times, 0.5), p99: quantile(times, 0.99), floor });
  }
  rounds.sort((a, b) => a.p99 - b.p99);
  const middle = rounds[Math.floor(ROUNDS / 2)];
  if (middle === undefined) throw new Error("no round ran");
  const { p50, p99, floor } = middle;
  const most = 2 * floor + 3;
  return [{
    what: `publish to deliver at ${RATE.toLocaleString("en-US")}/s, p99 (p50 ${p50.toFixed(2)} ms)`,
    durability: "group commit",
    figure: `${p99.toFixed(2)} ms`,
    against: { what: `fdatasync's p99 of ${floor.toFixed(2)} ms`, ratio: p99 / floor },
    target: { text: `2 × that + 3 ms = ${most.toFixed(2)} ms`, met: p99 <= most },
  }];
}

/** Milliseconds from when each message was due until it came. */
async function deliveries(address: string, seconds: number): Promise<number[]> {
  await using publisher = connect(address);
  await using consumer = connect(address);
  const total = RATE * seconds;
  const times: number[] = [];
  const stream = consumer.consume(TOPIC, { from: "newest" });
  await publisher.publish("live", "");
  let begin = 0;
  const consuming = (async () => {
    while (times.length < total) {
      const batch = await stream.nextBatch() ?? [];
      const now = performance.now();
      for (const { payload } of batch) {
        const due = new DataView(payload.buffer, payload.byteOffset).getUint32(0) / RATE * 1_000;
        times.push(now - begin - due);
      }
    }
  })();
  begin = performance.now();
  const acknowledged: Promise<unknown>[] = [];
  for (let sent = 0; sent < total;) {
    const due = Math.min(total, Math.floor((performance.now() - begin) / 1_000 * RATE));
    for (; sent < due; sent++) {
      const payload = new Uint8Array(PAYLOAD_BYTES);
      new DataView(payload.buffer).setUint32(0, sent);
      acknowledged.push(publisher.publish(TOPIC, payload));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(acknowledged);
  await consuming;
  stream.close();
  return times;
}

function quantile(values: readonly number[], part: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * part)] ?? NaN;
}
