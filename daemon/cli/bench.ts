import { type Command, InvalidArgumentError } from "commander";
import { BENCH_LIMITS } from "./bench/limits.ts";
import { WORKLOAD_NAMES, type WorkloadName } from "./bench/workload.ts";
import { clientCommand, withClient } from "./client_command.ts";
import type { Invocation } from "./invocation.ts";

const DEFAULTS = {
  messages: 200_000,
  seconds: 5,
  payload: 100,
  inFlight: 5_000,
  batch: 1_000,
  subscribers: [1, 100, 1_000],
  rate: 1_000,
} as const;

/** `bench`: measures a running daemon. */
export function addBench(program: Command, invocation: Invocation): void {
  const command = clientCommand(program, "bench", "Measure a running daemon through the SDK")
    .argument("[workload...]", `Which ones [default: all]: ${WORKLOAD_NAMES.join(", ")}`, workloads)
    .option(
      "--messages <n>",
      `Most messages of a workload [default: ${DEFAULTS.messages}]`,
      number("messages", 1),
    )
    .option(
      "--seconds <n>",
      `Most seconds of a workload; the length of latency [default: ${DEFAULTS.seconds}]`,
      number("seconds", 1),
    )
    .option(
      "--payload <bytes>",
      `Bytes of a payload, which no compressor makes smaller [default: ${DEFAULTS.payload}]`,
      number("payloadBytes", 0),
    )
    .option(
      "--in-flight <n>",
      `Publishes in flight of publish-pipelined [default: ${DEFAULTS.inFlight}]`,
      number("inFlight", 1),
    )
    .option(
      "--batch <n>",
      `Publishes of one wave of publish-batch [default: ${DEFAULTS.batch}]`,
      number("inFlight", 1),
    )
    .option(
      "--subscribers <n>",
      `Live subscribers of fanout [default: ${DEFAULTS.subscribers.join(", then ")}]`,
      number("subscribers", 1),
    )
    .option(
      "--rate <n>",
      `Publishes a second of latency [default: ${DEFAULTS.rate}]`,
      number("rate", 1),
    )
    .option(
      "--topic <prefix>",
      "What its topics and its queue begin with; they must be empty [default: bench.RANDOM]",
    )
    .option("--keep", "Leave what was published; without it, that is deleted at the end");
  command.action((names: readonly WorkloadName[]) =>
    withClient(command, invocation, async (session) => {
      const { subscribers, topic, keep = false, ...given } = command.opts<BenchFlags>();
      // Loaded here: no other command needs it.
      const { runBench } = await import("./bench/run_bench.ts");
      return await runBench(session, {
        workloads: WORKLOAD_NAMES.filter((name) => names.length === 0 || names.includes(name)),
        sizes: {
          ...DEFAULTS,
          ...given,
          ...(subscribers !== undefined && { subscribers: [subscribers] }),
        },
        prefix: topic ?? `bench.${crypto.randomUUID().slice(0, 8)}`,
        keep,
      });
    })
  );
}

interface BenchFlags {
  messages?: number;
  seconds?: number;
  payload?: number;
  inFlight?: number;
  batch?: number;
  subscribers?: number;
  rate?: number;
  topic?: string;
  keep?: true;
}

function number(limit: keyof typeof BENCH_LIMITS, least: number): (text: string) => number {
  const most = BENCH_LIMITS[limit];
  return (text) => {
    const value = Number(text);
    if (/^[0-9]+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`);
  };
}

function workloads(text: string, before: readonly WorkloadName[] = []): readonly WorkloadName[] {
  const name = WORKLOAD_NAMES.find((candidate) => candidate === text);
  if (name !== undefined) return [...before, name];
  throw new InvalidArgumentError(`Give one of ${WORKLOAD_NAMES.join(", ")}.`);
}
