/**
 * `deno task sim [--seed N] [--seeds N]`: runs seeds of the simulation. With --seed alone it replays that one and prints
 * what happens; with --seeds it runs so many, from --seed (default 1) on; by default 300. Exit code 1 when one fails.
 */
import { parseArgs } from "node:util";
import { type Outcome, simulate } from "./simulation.ts";
import { report } from "./report.ts";

const DEFAULT_SEEDS = 300;

const USAGE = "deno task sim [--seed N] [--seeds N]";

function readFlags(): { readonly seed?: string; readonly seeds?: string } {
  try {
    return parseArgs({ options: { seed: { type: "string" }, seeds: { type: "string" } } }).values;
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function numberOf(flag: "seed" | "seeds"): number | undefined {
  const text = flags[flag];
  if (text === undefined) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) && value >= 1
    ? value
    : refuse(`--${flag} takes a whole number from 1 on`);
}

function refuse(why: string): never {
  console.error(`${why}\nusage: ${USAGE}`);
  Deno.exit(2);
}

const flags = readFlags();
const seed = numberOf("seed");
const seeds = numberOf("seeds") ?? (seed === undefined ? DEFAULT_SEEDS : 1);
const first = seed ?? 1;
const begin = performance.now();
const failed: Outcome[] = [];
for (let at = first; at < first + seeds; at++) {
  const outcome = await simulate(at, seeds === 1 ? console.log : undefined);
  if (outcome.failures.length === 0 && seeds > 1) continue;
  console.log(report(outcome));
  if (outcome.failures.length > 0) failed.push(outcome);
}
const seconds = ((performance.now() - begin) / 1_000).toFixed(1);
console.log(
  `${seeds} seeds in ${seconds} s, ${failed.length} failed: ${failed.map(({ seed }) => seed).join(" ")}`,
);
if (failed.length > 0) Deno.exit(1);
