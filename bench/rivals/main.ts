/**
 * `deno task bench:peers [word …]`: the same work for msgbus, Redis Streams and NATS JetStream in one session; with words,
 * only the rows whose name contains one of them. `--json FILE` keeps every round as one JSON line, `--rounds N` (3) is how
 * often each row is measured, `--scale F` (1) multiplies the numbers of messages. docs/BENCHMARKS.md says how to read it.
 */
import { parseArgs } from "node:util";
import { available, H2LOAD, NATS_SERVER, output, REDIS_SERVER } from "../programs.ts";
import { median, perSecond } from "../report.ts";
import { comparisonTable, type Rounds } from "./comparison.ts";
import { msgbus, OURS } from "./msgbus.ts";
import { knowsSyncAlways, natsJetStream } from "./nats.ts";
import { redisStreams } from "./redis.ts";
import { fanoutRow, type Figures, Folders, publishRow, replayRow, type RowPlan, storedRow } from "./round.ts";
import type { System } from "./system.ts";

/** Between two measurements, for the disk to have written what the one before left. */
const COOL_DOWN_MS = 1_000;

function rowPlans(scale: number): RowPlan[] {
  const count = (messages: number) => Math.max(1_000, Math.ceil(messages * scale));
  return [
    publishRow(1, 100, count(10_000), count(10_000)),
    publishRow(50, 100, count(100_000), count(20_000)),
    publishRow(5_000, 100, count(2_000_000), count(20_000)),
    replayRow(100, count(1_000_000)),
    fanoutRow(100, 100, count(10_000)),
    publishRow(5_000, 256, count(2_000_000), count(20_000)),
    storedRow(256, count(200_000)),
    storedRow(256, count(1_000_000)),
  ];
}

/** Ours first. What is missing is said, and left out. */
async function systemsHere(folder: string, sha: string): Promise<System[]> {
  const systems: System[] = [];
  if (await available(H2LOAD, "msgbus, whose unary calls it makes")) systems.push(msgbus(sha));
  if (await available(REDIS_SERVER, "Redis Streams")) {
    systems.push(redisStreams((await output(REDIS_SERVER.command, ["--version"])).trim()));
  }
  if (await available(NATS_SERVER, "NATS JetStream")) {
    const version = (await output(NATS_SERVER.command, ["--version"])).trim();
    if (await knowsSyncAlways(folder)) {
      systems.push(natsJetStream(version, true));
    } else {
      console.log(
        `left out: NATS JetStream with sync_interval: always. ${version} does not know it: give 2.10 or later, with MSGBUS_BENCH_NATS_SERVER=<program>`,
      );
    }
    systems.push(natsJetStream(version, false));
  }
  return systems;
}

async function hostFacts(folder: string) {
  const filesystem = (await output("stat", ["-f", "-c", "%T", folder])).trim();
  if (filesystem === "tmpfs") {
    throw new Error(`${folder} lies in memory: set MSGBUS_BENCH_DIR to a folder of a disk`);
  }
  return {
    cores: navigator.hardwareConcurrency,
    kernel: Deno.osRelease(),
    filesystem,
    memory_bytes: Deno.systemMemoryInfo().total,
    deno: Deno.version.deno,
  };
}

async function gitSha(): Promise<string> {
  try {
    const cwd = ["-C", new URL("../..", import.meta.url).pathname];
    return (await output("git", [...cwd, "describe", "--always", "--dirty", "--abbrev=40"])).trim();
  } catch {
    return "unknown";
  }
}

const { values, positionals: words } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "string" }, rounds: { type: "string" }, scale: { type: "string" } },
});
const rounds = Number(values.rounds ?? 3);
const scale = Number(values.scale ?? 1);
if (!(rounds >= 1) || !(scale > 0)) {
  console.error("--rounds is a number from 1 on, --scale a number above 0");
  Deno.exit(2);
}
const base = await Deno.makeTempDir({
  dir: Deno.env.get("MSGBUS_BENCH_DIR") ?? ".",
  prefix: "msgbus-bench-",
});
try {
  const folder = await Deno.realPath(base);
  const sha = await gitSha();
  const host = await hostFacts(folder);
  const folders = new Folders(folder);
  const systems = await systemsHere(folder, sha);
  console.log(`git ${sha}, ${JSON.stringify(host)}`);
  const plans = rowPlans(scale).filter(({ name }) =>
    words.length === 0 || words.some((word) => name.includes(word))
  );
  for (const plan of plans) {
    const floors: number[] = [];
    const results = new Map<string, Figures[]>();
    for (let round = 1; round <= rounds; round++) {
      for (const system of systems) {
        const floor = await folders.floor();
        const figures = await plan.measure(system, folders);
        if (figures === undefined) continue;
        floors.push(floor);
        results.set(system.name, [...results.get(system.name) ?? [], figures]);
        if (values.json !== undefined) {
          const line = {
            schema: "msgbus.bench_rivals/1",
            at: new Date().toISOString(),
            git: sha,
            host,
            row: plan.name,
            round,
            system: system.name,
            version: system.version,
            fdatasync_per_second: floor,
            load_average: Deno.loadavg(),
            figures,
          };
          await Deno.writeTextFile(values.json, `${JSON.stringify(line)}\n`, { append: true });
        }
        await new Promise((resolve) => setTimeout(resolve, COOL_DOWN_MS));
      }
    }
    const floor = median(floors);
    const rows: Rounds[] = Array.from(results, ([system, figures]) => ({ system, figures }));
    console.log(`\n${plan.name} (median of ${rounds}; fdatasync of the folder ${perSecond(floor)})`);
    console.log(comparisonTable(rows, OURS, floor));
  }
} finally {
  await Deno.remove(base, { recursive: true });
}
