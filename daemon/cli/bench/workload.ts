import type { Client } from "@msgbus/sdk";
import type { Histogram } from "./histogram.ts";
import type { Payloads } from "./payloads.ts";

/** The workloads, in the order in which they run. */
export const WORKLOAD_NAMES = [
  "publish-sync",
  "publish-pipelined",
  "publish-batch",
  "replay",
  "fanout",
  "fifo",
  "latency",
] as const;

/** The name of a workload. */
export type WorkloadName = typeof WORKLOAD_NAMES[number];

/** How much of everything. */
export interface BenchSizes {
  /** Most messages of one workload. */
  readonly messages: number;
  /** Most seconds of one workload; the length of the open loop. */
  readonly seconds: number;
  /** Bytes of a payload. */
  readonly payload: number;
  /** Publishes in flight of `publish-pipelined`. */
  readonly inFlight: number;
  /** Publishes of one wave of `publish-batch`. */
  readonly batch: number;
  /** How many subscribers each run of `fanout` has. */
  readonly subscribers: readonly number[];
  /** Publishes a second of `latency`. */
  readonly rate: number;
}

/** What a workload works with. */
export interface BenchRun {
  readonly client: Client;
  /** A client with a connection of its own to the same daemon. Whoever asks for it closes it. */
  readonly another: () => Client;
  readonly sizes: BenchSizes;
  readonly payloads: Payloads;
  /** The topic with this name below the prefix; what is published to it is deleted at the end. */
  readonly topic: (name: string) => Promise<BenchTopic>;
  /** What was published to a topic so far; most messages first. */
  readonly published: () => readonly BenchTopic[];
  /** The queue. Throws where it has messages already. */
  readonly queue: () => Promise<string>;
  /** Aborted when the user has had enough: a workload ends soon, with what it has. */
  readonly stop: AbortSignal;
  /** Milliseconds that only go forward. */
  readonly now: () => number;
  /** Shows how far the workload is: 0 to 1. */
  readonly progress: (what: string, part: number) => void;
}

/** A topic of this run. */
export interface BenchTopic {
  readonly name: string;
  /** The last head that was acknowledged; 0 before. */
  head: number;
}

/** What a workload measured. */
export interface Measured {
  /** The workload, with what tells its rows apart: "fanout 1 to 100". */
  readonly name: string;
  /** Messages published, delivered or taken through the queue. */
  readonly messages: number;
  /** How long that took. */
  readonly seconds: number;
  /** How long each took; undefined where single messages are not told apart. */
  readonly latency: Histogram | undefined;
  /** Messages that wait for their acknowledgement at the same time; undefined where none is waited for. */
  readonly inFlight: number | undefined;
}

/** Runs to its end and gives its rows. */
export type Workload = (run: BenchRun) => Promise<readonly Measured[]>;
