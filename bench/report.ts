/** What was measured, as people read it. */
export interface Row {
  /** What was done. */
  readonly what: string;
  /** What an acknowledgement meant; rows of different labels must not be compared. */
  readonly durability: "fsync before every ack" | "group commit" | "page cache" | "memory" | "-";
  /** The figure with its unit. */
  readonly figure: string;
  /** What it is held against in the same run, and the ratio where it has one. */
  readonly against?: { readonly what: string; readonly ratio?: number };
  /** What must be reached. */
  readonly target: { readonly text: string; readonly met: boolean } | undefined;
}

/** Prints one row. */
export function printRow(row: Row): void {
  const ratio = row.against?.ratio === undefined ? "" : ` = ${row.against.ratio.toFixed(2)} ×`;
  const against = row.against === undefined ? "" : `${ratio} ${row.against.what}`;
  const target = row.target === undefined
    ? ""
    : `   [${row.target.met ? "met" : "MISSED"}: ${row.target.text}]`;
  console.log(`${row.what} (${row.durability}): ${row.figure}${against}${target}`);
}

/** "12,345/s". */
export function perSecond(value: number): string {
  return `${Math.round(value).toLocaleString("en-US")}/s`;
}

/** "12.3 MB". */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** The middle of the values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}
