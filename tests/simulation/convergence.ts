import { readDeleteMarker } from "../../daemon/bus/delete_marker.ts";
import { DELETE_TOPIC } from "../../daemon/bus/names.ts";
import type { LogHead, StoredMessage } from "../../daemon/store/store.ts";
import { TopicFilter } from "../../daemon/sync/topic_filter.ts";
import { type Model, readArchive, readLog } from "./model.ts";
import type { SimulatedNode } from "./node.ts";

type Log = readonly StoredMessage[];

/** A node's logs as they are stored. */
interface Shelf {
  readonly heads: readonly LogHead[];
  /** By topic and device of the origin. */
  readonly logs: ReadonlyMap<string, Log>;
}

const NOTHING: Log = [];

/** Compares what the nodes have of each other's logs with what they should have. */
export class Convergence {
  readonly #nodes: readonly SimulatedNode[];
  readonly #model: Model;
  readonly #filters = new Map<string, TopicFilter>();

  constructor(nodes: readonly SimulatedNode[], model: Model) {
    this.#nodes = nodes;
    this.#model = model;
  }

  /** Whether messages of a topic come from one node to another, however many are between. */
  receives(node: SimulatedNode, from: SimulatedNode, topic: string): boolean {
    return this.distances(from, topic).has(node);
  }

  /** All nodes that a node's topic comes to, nearest first, and over how many links. */
  distances(from: SimulatedNode, topic: string): Map<SimulatedNode, number> {
    const distances = new Map([[from, 0]]);
    for (const [reached, distance] of distances) {
      for (const node of this.#nodes) {
        if (!distances.has(node) && this.#follows(node, reached, topic)) distances.set(node, distance + 1);
      }
    }
    return distances;
  }

  /** What is wrong with the copies. `forked`: data was lost, and nobody has decided yet which logs count. */
  async problems(forked: boolean): Promise<string[]> {
    const problems: string[] = [];
    const shelves = new Map<SimulatedNode, Shelf>();
    for (const node of this.#nodes) {
      const shelf = await readShelf(node);
      shelves.set(node, shelf);
      problems.push(...await undeletedAside(node, shelf));
      for (const origin of this.#nodes) {
        if (this.#keepsDeletions(node, origin)) problems.push(...undeleted(node, origin, shelf));
      }
    }
    for (const origin of this.#nodes) {
      const lost = forked ? this.#model.lost.get(origin.name) : undefined;
      const wasLost = this.#model.lost.has(origin.name);
      for (const topic of topicsOf(shelves.values(), origin.name)) {
        // Queues on their way to or from a node that lost its data are beyond what is promised.
        if (wasLost && !forked && topic.startsWith("$msgbus.fifo")) continue;
        const key = keyOf(topic, origin.name);
        const own = shelves.get(origin)?.logs.get(key) ?? NOTHING;
        const distances = this.distances(origin, topic);
        for (const node of this.#nodes) {
          if (node === origin) continue;
          const copy = shelves.get(node)?.logs.get(key) ?? NOTHING;
          const where = `"${topic}" of ${origin.name} on ${node.name}`;
          const complete = lost === undefined && distances.has(node);
          const strict = lost === undefined || this.#isOfNewLife(shelves.get(node), origin, topic);
          let difference = differenceOf(strict ? copy : ignoreDeletions(copy, own), own, complete);
          if (lost !== undefined && !strict && difference !== undefined) {
            const before = lost.find((log) => log.topic === topic)?.messages ?? NOTHING;
            const lives = [own, before].map((log) => differenceOf(ignoreDeletions(copy, log), log, false));
            if (lives.includes(undefined)) difference = undefined;
          }
          if (difference !== undefined) problems.push(`${where}: ${difference}`);
        }
        if (lost !== undefined) problems.push(...await this.#unreported(shelves, origin, topic));
      }
    }
    return problems;
  }

  /** Forks that a node could tell, and has not reported. */
  async #unreported(
    shelves: ReadonlyMap<SimulatedNode, Shelf>,
    origin: SimulatedNode,
    topic: string,
  ): Promise<string[]> {
    const problems: string[] = [];
    const key = keyOf(topic, origin.name);
    for (const node of this.#nodes) {
      const states = await node.memory.peerSyncStates();
      for (const { peer, to, manners } of node.following.values()) {
        if (!this.#filterOf(node, peer).passes(topic)) continue;
        const mine = shelves.get(node)?.logs.get(key) ?? NOTHING;
        const theirs = shelves.get(to)?.logs.get(key) ?? NOTHING;
        const common = Math.min(mine.length, theirs.length);
        const isForked = common > 0 && mine[common - 1]?.id !== theirs[common - 1]?.id;
        const isLonger = theirs.length > mine.length;
        const incarnations = [shelves.get(node), shelves.get(to)].map((shelf) =>
          incarnationOf(shelf, topic, origin)
        );
        const isOther = manners.incarnations && node !== origin && to !== origin &&
          !incarnations.includes("") && incarnations[0] !== incarnations[1];
        const isEqual = to === origin && theirs.length === mine.length;
        const tells = node === origin ? isLonger : isForked && (isLonger || isOther || isEqual);
        const state = states.find((state) =>
          state.peer === peer && state.topic === topic && state.origin.deviceId === origin.name
        );
        if (tells && (state?.fork ?? "none") === "none") {
          problems.push(`"${topic}" of ${origin.name}: ${node.name} reports no fork at ${peer}`);
        }
      }
    }
    return problems;
  }

  /**
   * Whether a copy is of what the origin has written since it was wiped, and no marker of before can be taken for one that
   * is meant for that.
   */
  #isOfNewLife(shelf: Shelf | undefined, origin: SimulatedNode, topic: string): boolean {
    return this.#model.wiped.has(origin.name) && this.#allSayIncarnations() &&
      incarnationOf(shelf, topic, origin) === origin.disk.incarnation;
  }

  /**
   * Whether what a node has the marker of stays deleted there. Where an origin began anew and somebody does not say in
   * which data directory a log was written, its new markers can come to the old log, which is set aside after that.
   */
  #keepsDeletions(node: SimulatedNode, origin: SimulatedNode): boolean {
    return node === origin || !this.#model.lost.has(origin.name) || this.#allSayIncarnations();
  }

  #allSayIncarnations(): boolean {
    return this.#nodes.every(({ following }) =>
      [...following.values()].every(({ manners }) => manners.incarnations)
    );
  }

  #follows(node: SimulatedNode, from: SimulatedNode, topic: string): boolean {
    return [...node.following.values()].some(({ peer, to }) =>
      to === from && this.#filterOf(node, peer).passes(topic)
    );
  }

  #filterOf(node: SimulatedNode, peer: string): TopicFilter {
    const key = `${node.name} ${peer}`;
    let filter = this.#filters.get(key);
    if (filter === undefined) {
      const { include = [], exclude = [] } = node.following.get(peer) ?? {};
      this.#filters.set(key, filter = new TopicFilter(include, exclude));
    }
    return filter;
  }
}

async function readShelf({ memory }: SimulatedNode): Promise<Shelf> {
  const heads = await memory.heads();
  const logs = new Map<string, Log>();
  for (const { topic, origin } of heads) {
    logs.set(keyOf(topic, origin.deviceId), await readLog(memory, topic, origin));
  }
  return { heads, logs };
}

/**
 * Messages that a node has still, though it has a marker of the same life of the origin that deletes them: it takes both
 * in one write.
 */
function undeleted({ name }: SimulatedNode, origin: SimulatedNode, shelf: Shelf): string[] {
  const problems: string[] = [];
  const { logs } = shelf;
  const life = incarnationOf(shelf, DELETE_TOPIC, origin);
  for (const { headId, payload } of logs.get(keyOf(DELETE_TOPIC, origin.name)) ?? NOTHING) {
    const marker = readDeleteMarker(payload);
    if (marker === undefined) {
      problems.push(`marker ${headId} of ${origin.name} on ${name} is none`);
      continue;
    }
    const { topic, from, to } = marker;
    const other = incarnationOf(shelf, topic, origin);
    if (life !== "" && other !== "" && life !== other) continue;
    for (const { headId: head, deleted } of logs.get(keyOf(topic, origin.name))?.slice(from - 1, to) ?? []) {
      if (!deleted) {
        problems.push(`"${topic}" of ${origin.name} on ${name}: marker ${headId} deletes message ${head}`);
      }
    }
  }
  return problems;
}

/** Messages of logs set aside that are not deleted there, though they are in the log in their place. */
async function undeletedAside({ name, memory }: SimulatedNode, { logs }: Shelf): Promise<string[]> {
  const problems: string[] = [];
  for (const { topic, origin, name: archive } of await memory.archivedLogs()) {
    const log = logs.get(keyOf(topic, origin.deviceId)) ?? NOTHING;
    for (const { headId, id, deleted } of await readArchive(memory, topic, origin, archive)) {
      const now = log[headId - 1];
      if (deleted || now?.id !== id || !now.deleted) continue;
      problems.push(
        `"${topic}" of ${origin.deviceId} on ${name}: message ${headId} of ${archive} is deleted`,
      );
    }
  }
  return problems;
}

/** The incarnation of a copy; "" where unknown. */
function incarnationOf(shelf: Shelf | undefined, topic: string, origin: SimulatedNode): string {
  const log = shelf?.heads.find((head) => head.topic === topic && head.origin.deviceId === origin.name);
  return log?.incarnation ?? "";
}

function keyOf(topic: string, device: string): string {
  return `${topic} of ${device}`;
}

function topicsOf(shelves: Iterable<Shelf>, device: string): Set<string> {
  const topics = new Set<string>();
  for (const { heads } of shelves) {
    for (const { topic, origin } of heads) if (origin.deviceId === device) topics.add(topic);
  }
  return topics;
}

/**
 * A copy with what is deleted in it alone taken from the log it is compared with. A node that went back deletes by heads,
 * and a head of the log it has now can be another message in a copy of the log that it had.
 */
function ignoreDeletions(copy: Log, own: Log): Log {
  return copy.map((message, at) => {
    const mine = own[at];
    return message.deleted && mine?.id === message.id && !mine.deleted ? mine : message;
  });
}

/** What a copy has other than its origin; it may have less unless it must be complete. */
function differenceOf(copy: Log, own: Log, complete: boolean): string | undefined {
  if (copy.length > own.length) return `it has ${copy.length} messages, its origin ${own.length}`;
  if (complete && copy.length < own.length) return `it has ${copy.length} of ${own.length} messages`;
  for (let at = 0; at < copy.length; at++) {
    const [theirs, mine] = [copy[at], own[at]];
    if (theirs === undefined || mine === undefined) break;
    const place = `message ${at + 1}`;
    if (theirs.headId !== at + 1) return `${place} has head ${theirs.headId}`;
    if (theirs.id !== mine.id) return `${place} is another`;
    if (theirs.createdAtMs !== mine.createdAtMs) return `${place} has another time`;
    if (theirs.deleted && !mine.deleted) return `${place} is deleted here only`;
    if (theirs.deleted && theirs.payload.length + theirs.headers.length > 0) {
      return `${place} is deleted and has its payload`;
    }
    if (complete && mine.deleted && !theirs.deleted) return `${place} is not deleted here`;
    if (!mine.deleted && !isSame(theirs.payload, mine.payload)) return `${place} has another payload`;
    if (!mine.deleted && !isSame(theirs.headers, mine.headers)) return `${place} has other headers`;
  }
  return undefined;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
