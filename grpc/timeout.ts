/** Milliseconds of one unit of `grpc-timeout` (gRPC over HTTP/2, TimeoutUnit). */
const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};
const UNITS_FROM_SMALL = [["n", 1e-6], ["u", 1e-3], ["m", 1], ["S", 1_000], ["M", 60_000], [
  "H",
  3_600_000,
]] as const;
/** TimeoutValue has at most eight digits. */
const MAX_VALUE = 99_999_999;

/** The milliseconds of a `grpc-timeout` value, or undefined when it is malformed. */
export function parseTimeout(value: string): number | undefined {
  const match = /^([0-9]{1,8})([HMSmun])$/.exec(value);
  const unit = UNIT_MS[match?.[2] ?? ""];
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit;
}

/** The `grpc-timeout` value of a duration: the finest unit whose eight digits hold it, rounded up. */
export function formatTimeout(ms: number): string {
  for (const [unit, unitMs] of UNITS_FROM_SMALL) {
    const value = Math.ceil(Math.max(0, ms) / unitMs);
    if (value <= MAX_VALUE) return `${value}${unit}`;
  }
  return `${MAX_VALUE}H`;
}
