import type { JsonRecord } from "../printer.ts";
import { table } from "../table.ts";
import type { BenchSizes, Measured } from "./workload.ts";

/** What the rows tell beside what was measured. */
export interface RowContext {
  readonly sizes: BenchSizes;
  /** As the daemon says it; "" where it does not. */
  readonly durability: string;
}

const HEAD = ["WORKLOAD", "MSG/S", "MB/S", "P50 MS", "P90", "P99", "P99.9", "MAX", "DURABILITY"];

/** A row for programs. Durations are microseconds, null where there were too few samples. */
export function rowRecord(measured: Measured, context: RowContext, interrupted: boolean): JsonRecord {
  const { name, messages, seconds, latency, inFlight } = measured;
  return {
    schema: "msgbus.bench/1",
    workload: name,
    messages,
    seconds,
    messages_per_second: messages / seconds,
    megabytes_per_second: megabytesPerSecond(measured, context),
    payload_bytes: context.sizes.payload,
    in_flight: inFlight ?? null,
    latency_us: latency === undefined ? null : {
      p50: latency.quantileUs(0.5) ?? null,
      p90: latency.quantileUs(0.9) ?? null,
      p99: latency.quantileUs(0.99) ?? null,
      p99_9: latency.quantileUs(0.999) ?? null,
      max: latency.maxUs,
    },
    durability: durabilityLabel(measured, context),
    interrupted,
  };
}

/** The rows for people. */
export function rowsTable(rows: readonly Measured[], context: RowContext): string {
  const cells = [HEAD, ...rows.map((row) => rowCells(row, context))];
  const widths = HEAD.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const last = HEAD.length - 1;
  const [head = [], ...rest] = cells.map((row) =>
    row.map((cell, column) => column === 0 || column === last ? cell : cell.padStart(widths[column] ?? 0))
  );
  return table(head, rest);
}

function rowCells(measured: Measured, context: RowContext): string[] {
  const { name, messages, seconds, latency } = measured;
  return [
    name,
    Math.round(messages / seconds).toLocaleString("en-US"),
    megabytesPerSecond(measured, context).toFixed(2),
    ...[0.5, 0.9, 0.99, 0.999].map((part) => milliseconds(latency?.quantileUs(part))),
    milliseconds(latency?.maxUs),
    durabilityLabel(measured, context),
  ];
}

function megabytesPerSecond({ messages, seconds }: Measured, { sizes }: RowContext): number {
  return messages * sizes.payload / seconds / 1e6;
}

function milliseconds(us: number | undefined): string {
  return us === undefined ? "-" : (us / 1_000).toFixed(3);
}

/** What an acknowledgement of the row meant; rows of different labels must not be compared. */
function durabilityLabel({ latency, inFlight }: Measured, { durability }: RowContext): string {
  if (latency === undefined) return "-";
  switch (durability) {
    case "full":
      return inFlight === 1 ? "fsync before every ack" : "group commit";
    case "normal":
      return "page cache";
    case "memory":
      return "memory";
    default:
      return "unknown";
  }
}
