import { median, megabytes, perSecond } from "../report.ts";
import type { Figures } from "./round.ts";
import type { Durability } from "./system.ts";

/** All rounds of one system in one row. */
export interface Rounds {
  readonly system: string;
  readonly figures: readonly Figures[];
}

const HEAD = [
  "SYSTEM",
  "DURABILITY",
  "RATE",
  "RATIO TO OURS",
  "RATIO TO FLOOR",
  "MESSAGES/COMMIT",
  "WRITTEN/MESSAGE",
  "KEPT/MESSAGE",
  "RESIDENT",
  "LOAD",
];

/** One row as a table: medians over the rounds, in relation to the system with the name `oursName`, where it is there. */
export function comparisonTable(rows: readonly Rounds[], oursName: string, floor: number): string {
  const ours = rows.find(({ system }) => system === oursName);
  const cells = [HEAD, ...rows.map((row) => cellsOf(row, ours, floor))];
  const widths = HEAD.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()}\n`
  ).join("");
}

function cellsOf(row: Rounds, ours: Rounds | undefined, floor: number): string[] {
  const [first] = row.figures;
  const durability = first?.durability ?? "-";
  const rate = medianOf(row, "perSecond");
  const oursRate = ours === undefined ? undefined : medianOf(ours, "perSecond");
  const comparable = promise(durability) === promise(ours?.figures[0]?.durability ?? "-");
  return [
    row.system,
    durability,
    shown(rate, perSecond),
    rate === undefined || oursRate === undefined || !comparable ? "-" : `${(rate / oursRate).toFixed(2)} ×`,
    rate === undefined || promise(durability) !== "durable" || first?.acknowledges !== true
      ? "-"
      : `${(rate / floor).toFixed(2)} ×`,
    shown(medianOf(row, "messagesPerCommit"), String),
    shown(medianOf(row, "writtenPerMessage"), (bytes) => `${Math.round(bytes)} B`),
    shown(medianOf(row, "keptPerMessage"), (bytes) => `${Math.round(bytes)} B`),
    shown(medianOf(row, "residentBytes"), megabytes),
    first?.load ?? "-",
  ];
}

/**
 * What an acknowledgement promises. One sync for each message and one for several promise the same; what lies in the page
 * cache or in memory promises less, and is never put in relation.
 */
function promise(durability: Durability): "durable" | "page cache" | "memory" | "-" {
  switch (durability) {
    case "fsync before every ack":
    case "group commit":
      return "durable";
    case "page cache":
    case "memory":
    case "-":
      return durability;
  }
}

type Figure = "perSecond" | "messagesPerCommit" | "writtenPerMessage" | "keptPerMessage" | "residentBytes";

function medianOf({ figures }: Rounds, figure: Figure): number | undefined {
  const values = figures.map((round) => round[figure]).filter((value) => value !== undefined);
  return values.length === 0 ? undefined : median(values);
}

function shown(value: number | undefined, text: (value: number) => string): string {
  return value === undefined ? "-" : text(value);
}
