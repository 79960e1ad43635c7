import type { ConsumeFrom, ConsumeRequest } from "../../daemon/bus/requests.ts";
import type { NodeName, SequencedMessage } from "../../daemon/store/store.ts";
import { EPOCH_MS, type SimulatedNode } from "./node.ts";
import type { Random } from "./random.ts";

/** Patterns, and what they mean, said without the code that matches them. */
const PATTERNS: readonly (readonly [patterns: readonly string[], matches: (topic: string) => boolean])[] = [
  [[">"], (topic) => !topic.startsWith("$")],
  [["orders"], (topic) => topic === "orders"],
  [["sensor.*", "notes"], (topic) => ["sensor.heat", "sensor.light", "notes"].includes(topic)],
  [[">", "$msgbus.>"], () => true],
];

const BEGINNINGS: readonly ConsumeFrom[] = [
  { kind: "oldest" },
  { kind: "oldest" },
  { kind: "newest" },
  { kind: "head", headId: 6 },
  { kind: "time", ms: EPOCH_MS },
];

/** What a consumer asks for. */
export class Wanted {
  readonly patterns: readonly string[];
  readonly origins: readonly NodeName[];
  readonly skipDeleted: boolean;
  readonly from: ConsumeFrom;
  readonly #matches: (topic: string) => boolean;

  /** Draws some wish about the logs of the nodes. */
  constructor(nodes: readonly SimulatedNode[], random: Random) {
    [this.patterns, this.#matches] = random.pick(PATTERNS);
    this.origins = random.chance(0.3) ? [{ ...random.pick(nodes).node }] : [];
    this.skipDeleted = random.chance(0.3);
    this.from = random.pick(BEGINNINGS);
  }

  /** The same from another place on. */
  request(from: ConsumeFrom): ConsumeRequest {
    const { patterns, origins, skipDeleted } = this;
    return { patterns, origins, skipDeleted, from };
  }

  /** Whether a message is of a log that is meant. */
  means({ topic, origin }: SequencedMessage): boolean {
    const { origins } = this;
    return this.#matches(topic) &&
      (origins.length === 0 || origins.some(({ deviceId }) => deviceId === origin.deviceId));
  }

  /** Whether it does not lie before a head or a time to begin with. */
  reaches({ headId, createdAtMs }: SequencedMessage): boolean {
    const { from } = this;
    if (from.kind === "head") return headId >= from.headId;
    return from.kind !== "time" || createdAtMs >= from.ms;
  }

  get text(): string {
    const origins = this.origins.map(({ deviceId }) => ` of ${deviceId}`).join("");
    return `${this.patterns.join(" ")}${origins} from ${this.from.kind}${
      this.skipDeleted ? ", not deleted" : ""
    }`;
  }
}
