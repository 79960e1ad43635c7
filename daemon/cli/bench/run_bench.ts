import type { ClientSession } from "../client_command.ts";
import { ExitCode } from "../exit_code.ts";
import { fanout } from "./fanout.ts";
import { fifo } from "./fifo.ts";
import { latency } from "./latency.ts";
import { Payloads } from "./payloads.ts";
import { Progress } from "./progress.ts";
import { publishBatch, publishPipelined, publishSync } from "./publish.ts";
import { replay } from "./replay.ts";
import { type RowContext, rowRecord, rowsTable } from "./rows.ts";
import { Topics } from "./topics.ts";
import type { BenchRun, BenchSizes, Measured, Workload, WorkloadName } from "./workload.ts";

/** What to run, and how. */
export interface BenchOrder {
  readonly workloads: readonly WorkloadName[];
  readonly sizes: BenchSizes;
  /** What the names of its topics and its queue begin with. */
  readonly prefix: string;
  /** Whether what was published stays. */
  readonly keep: boolean;
}

const WORKLOADS = {
  "publish-sync": publishSync,
  "publish-pipelined": publishPipelined,
  "publish-batch": publishBatch,
  "replay": replay,
  "fanout": fanout,
  "fifo": fifo,
  "latency": latency,
} as const satisfies Record<WorkloadName, Workload>;

/**
 * Runs the workloads one after the other, prints their rows and deletes what they published. The first interrupt ends
 * the workload that runs, with what it has; the second one gives up waiting for the daemon. Throws MsgbusError, CliError.
 */
export async function runBench(session: ClientSession, order: BenchOrder): Promise<ExitCode> {
  const { client, another, printer, io } = session;
  const stopping = new AbortController();
  const forget = io.onInterrupt(() => {
    if (stopping.signal.aborted) void client.close();
    stopping.abort();
  });
  const now = () => performance.now();
  const topics = new Topics(client, order.prefix);
  const progress = new Progress(io.stderr, now);
  const run: BenchRun = {
    client,
    another,
    sizes: order.sizes,
    payloads: new Payloads(order.sizes.payload),
    topic: (name) => topics.open(name),
    published: () => topics.published(),
    queue: () => topics.queue(),
    stop: stopping.signal,
    now,
    progress: (what, part) => progress.show(what, part),
  };
  const rows: Measured[] = [];
  let context: RowContext = { sizes: order.sizes, durability: "" };
  try {
    // A daemon that is not there is told before anything is measured.
    context = { sizes: order.sizes, durability: (await client.ready()).durability };
    for (const name of order.workloads) {
      if (stopping.signal.aborted) break;
      const measured = (await WORKLOADS[name](run)).filter(({ messages }) => messages > 0);
      rows.push(...measured);
      progress.clear();
      if (printer.json) {
        await printer.printAll(measured.map((row) => rowRecord(row, context, run.stop.aborted)), "");
      }
    }
  } finally {
    progress.clear();
    try {
      if (!printer.json && rows.length > 0) await printer.printAll([], rowsTable(rows, context));
      await printer.print(await topics.finish(order.keep));
    } finally {
      forget();
    }
  }
  return ExitCode.OK;
}
