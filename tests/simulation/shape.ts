import type { PeerManners } from "./link.ts";
import type { Random } from "./random.ts";

/** Topics that are published to. */
export const TOPICS = ["orders", "sensor.heat", "sensor.light", "notes"] as const;

/** Which way messages can go between the nodes. */
const TOPOLOGIES = ["line", "ring", "mesh", "one-way"] as const;

/** What becomes of one node's data in the middle of the run. */
export type Disaster = "none" | "wiped" | "restored";

/** How the forks of a disaster are decided. */
export type Policy = "the origin's log" | "refuse";

/** That a node follows another. */
export interface Edge {
  readonly from: number;
  readonly to: number;
  readonly manners: PeerManners;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** What a run is about. */
export interface Shape {
  readonly nodes: number;
  readonly topology: (typeof TOPOLOGIES)[number];
  readonly edges: readonly Edge[];
  readonly disaster: Disaster;
  readonly policy: Policy;
  /** Whether some links change what is said on them. */
  readonly mangling: boolean;
}

export function drawShape(random: Random): Shape {
  const nodes = 2 + random.below(4);
  const topology = random.pick(TOPOLOGIES);
  const disaster = random.chance(0.25) ? random.pick(["wiped", "restored"] as const) : "none";
  const edges = pairs(nodes, topology).map(([from, to]) => ({
    from,
    to,
    manners: drawManners(random),
    ...drawFilter(random),
  }));
  return {
    nodes,
    topology,
    edges,
    disaster,
    policy: random.pick(["the origin's log", "refuse"] as const),
    mangling: disaster === "none" && random.chance(0.2),
  };
}

function pairs(nodes: number, topology: Shape["topology"]): [number, number][] {
  const found: [number, number][] = [];
  for (let from = 0; from < nodes; from++) {
    for (let to = 0; to < nodes; to++) {
      const distance = Math.abs(from - to);
      const joined = {
        "line": distance === 1,
        "ring": distance === 1 || distance === nodes - 1,
        "mesh": true,
        "one-way": from - to === 1,
      }[topology];
      if (from !== to && joined) found.push([from, to]);
    }
  }
  return found;
}

function drawManners(random: Random): PeerManners {
  const sync = random.chance(0.75);
  return { sync, incarnations: sync || random.chance(0.5) };
}

function drawFilter(random: Random): Pick<Edge, "include" | "exclude"> {
  if (random.chance(0.7)) return { include: [], exclude: [] };
  return random.pick([
    { include: ["sensor.>"], exclude: [] },
    { include: [], exclude: ["sensor.*"] },
    { include: ["orders", "sensor.>"], exclude: ["sensor.light"] },
  ]);
}
