import { connect } from "@msgbus/sdk";
import { DaemonProcess } from "../tests/daemon_process.ts";
import { fdatasyncTimes } from "./fdatasync.ts";
import { type OpenLoopOrder, type OpenLoopReport, sharedNow } from "./open_loop_order.ts";
import type { Row } from "./report.ts";
import type { StorageBench } from "./storage.ts";

const TOPIC = "bench";
const PAYLOAD_BYTES = 100;
const RATE = 10_000;
/** The compilers of the daemon and of both clients work for about ten seconds on what is new to them. */
const WARM_UP_SECONDS = 10;
const SECONDS = 10;
const ROUNDS = 3;

/** How long a message takes to its live consumer, counted from when it was due, while many others come at a steady rate. */
export async function deliveryAtRate(bench: StorageBench): Promise<Row[]> {
  const rounds: {
    readonly p50: number;
    readonly p99: number;
    readonly late: number;
    readonly floor: number;
  }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const floor = quantile(await fdatasyncTimes(bench.folder), 0.99);
    await using daemon = await DaemonProcess.start(["--data", bench.newData()]);
    const { times, lateMs } = await deliveries(daemon.address);
    await daemon.stop();
    rounds.push({
      p50: quantile(times, 0.5),
      p99: quantile(times, 0.99),
      late: quantile(lateMs, 0.99),
      floor,
    });
  }
  rounds.sort((a, b) => a.p99 - b.p99);
  const middle = rounds[Math.floor(ROUNDS / 2)];
  if (middle === undefined) throw new Error("no round ran");
  const { p50, p99, late, floor } = middle;
  const most = 2 * floor + 3;
  return [{
    what: `publish to deliver at ${RATE.toLocaleString("en-US")}/s, p99 (p50 ${p50.toFixed(2)} ms; ` +
      `sent late by ${late.toFixed(2)} ms at p99, which counts)`,
    durability: "group commit",
    figure: `${p99.toFixed(2)} ms`,
    against: { what: `fdatasync's p99 of ${floor.toFixed(2)} ms`, ratio: p99 / floor },
    target: { text: `2 × that + 3 ms = ${most.toFixed(2)} ms`, met: p99 <= most },
  }];
}

interface Deliveries {
  /** Milliseconds from when each message was due until it came. */
  readonly times: Float64Array;
  /** Milliseconds of these that went by before it was sent. */
  readonly lateMs: Float64Array;
}

async function deliveries(address: string): Promise<Deliveries> {
  await using consumer = connect(address);
  const messages = RATE * (WARM_UP_SECONDS + SECONDS);
  const times = new Float64Array(messages);
  const stream = consumer.consume(TOPIC);
  const publisher = new Worker(new URL("./open_loop_publisher.ts", import.meta.url), { type: "module" });
  try {
    const report = new Promise<OpenLoopReport>((resolve, reject) => {
      publisher.onmessage = ({ data }) => resolve(data);
      publisher.onerror = ({ message }) => reject(new Error(`publishing failed: ${message}`));
    });
    const order: OpenLoopOrder = { address, topic: TOPIC, messages, rate: RATE, payloadBytes: PAYLOAD_BYTES };
    publisher.postMessage(order);
    for (let came = 0; came < messages;) {
      const batch = await stream.nextBatch();
      if (batch === null) throw new Error(`the stream ended after ${came} messages`);
      const now = sharedNow();
      for (const { payload } of batch) {
        times[came++] = now - new DataView(payload.buffer, payload.byteOffset).getFloat64(0);
      }
    }
    const { lateMs } = await report;
    const measured = RATE * WARM_UP_SECONDS;
    return { times: times.subarray(measured), lateMs: lateMs.subarray(measured) };
  } finally {
    publisher.terminate();
    stream.close();
  }
}

function quantile(values: Iterable<number>, part: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.floor(sorted.length * part)] ?? NaN;
}
