import { FIFO_TOPIC_PREFIX } from "../../daemon/bus/names.ts";
import type { MemoryStore } from "../../daemon/store/memory/store.ts";
import type { NodeName, SequencedMessage, StoredMessage } from "../../daemon/store/store.ts";

/** A message whose publisher was told that it is stored. */
export interface Published {
  readonly origin: string;
  readonly life: number;
  readonly topic: string;
  readonly headId: number;
  readonly id: string;
  readonly text: string;
}

/** A range that somebody asked to delete. */
export interface Deleted {
  readonly origin: string;
  readonly life: number;
  readonly topic: string;
  readonly from: number;
  readonly to: number;
  acknowledged: boolean;
}

/** A message for a queue. */
export interface Enqueued {
  readonly source: string;
  readonly target: string;
  readonly queue: string;
  /** Counts the calls of the source. */
  readonly number: number;
  /** Of the target when it was called. */
  readonly life: number;
  acknowledged: boolean;
}

/** A log that was lost with its node's data, as others may still have it. */
export interface LostLog {
  readonly topic: string;
  readonly messages: readonly StoredMessage[];
}

/** What happened to one message of a queue at its target. */
interface Consumption {
  acknowledged: number;
  asked: number;
}

const EVERYTHING = { messages: 1_000_000, bytes: 1e12 };
const decoder = new TextDecoder();

/** A whole log. */
export function readLog(
  memory: MemoryStore,
  topic: string,
  origin: NodeName,
): Promise<readonly StoredMessage[]> {
  return memory.read(topic, origin, 1, EVERYTHING);
}

/** All messages of the logs in use, in the order in which they were stored. */
export async function readAll(memory: MemoryStore): Promise<readonly SequencedMessage[]> {
  const all: SequencedMessage[] = [];
  for (let from = 1;;) {
    const { messages, next } = await memory.readAll(from, {}, EVERYTHING);
    if (next === from) return all;
    all.push(...messages);
    from = next;
  }
}

/** A whole log that was set aside. */
export function readArchive(
  memory: MemoryStore,
  topic: string,
  origin: NodeName,
  name: string,
): Promise<readonly StoredMessage[]> {
  return memory.readArchived(topic, origin, name, 1, EVERYTHING);
}

/** The ids of the messages of logs that were set aside, by sequence. */
export async function readSetAside(memory: MemoryStore): Promise<ReadonlyMap<number, string>> {
  const ids = new Map<number, string>();
  for (const { topic, origin, name } of await memory.archivedLogs()) {
    for (const { sequence, id } of await readArchive(memory, topic, origin, name)) ids.set(sequence, id);
  }
  return ids;
}

/** What was acknowledged, and so must be so. */
export class Model {
  readonly published: Published[] = [];
  readonly deleted: Deleted[] = [];
  readonly enqueued: Enqueued[] = [];
  /** By node whose data was lost. */
  readonly lost = new Map<string, LostLog[]>();
  /** Nodes of these that began anew with nothing. */
  readonly wiped = new Set<string>();
  readonly #lives = new Map<string, number>();
  readonly #consumed = new Map<string, Consumption>();
  /** The number of the newest message seen, by target, queue and source. */
  readonly #newest = new Map<string, number>();
  readonly #fail: (what: string) => void;

  constructor(fail: (what: string) => void) {
    this.#fail = fail;
  }

  /** How often the node's data was lost. */
  life(node: string): number {
    return this.#lives.get(node) ?? 0;
  }

  /** The node's data is lost, or some of it. */
  async lose(node: string, name: NodeName, memory: MemoryStore): Promise<void> {
    this.#lives.set(node, this.life(node) + 1);
    for (const known of [this.#consumed, this.#newest]) {
      // What it had acknowledged is forgotten with its data.
      for (const key of known.keys()) if (key.startsWith(`${node} `)) known.delete(key);
    }
    const logs: LostLog[] = [];
    for (const { topic, origin } of await memory.heads()) {
      if (origin.deviceId === node) logs.push({ topic, messages: await readLog(memory, topic, name) });
    }
    this.lost.set(node, logs);
  }

  /** A message stands in front of a queue. */
  peeked(target: string, queue: string, source: string, text: string): void {
    const key = consumptionKey(target, queue, source, text);
    if ((this.#consumed.get(key)?.acknowledged ?? 0) > 0) {
      this.#fail(`"${text}" is in queue "${queue}" of ${target} again, though acknowledged`);
    }
    const number = Number(text);
    const line = `${target} ${queue} ${source}`;
    if (number < (this.#newest.get(line) ?? 0)) {
      this.#fail(`"${text}" of ${source} is in queue "${queue}" of ${target} behind later ones`);
    }
    this.#newest.set(line, number);
  }

  /** Somebody asks to acknowledge it; the returned function is to be called when that was done. */
  acknowledging(target: string, queue: string, source: string, text: string): () => void {
    const key = consumptionKey(target, queue, source, text);
    let consumption = this.#consumed.get(key);
    if (consumption === undefined) this.#consumed.set(key, consumption = { acknowledged: 0, asked: 0 });
    const known = consumption;
    known.asked++;
    return () => known.acknowledged++;
  }

  /** What is wrong with a node's own logs. */
  async ownProblems(node: string, name: NodeName, memory: MemoryStore, topics: readonly string[]) {
    const problems: string[] = [];
    const life = this.life(node);
    for (const topic of topics) {
      const log = await readLog(memory, topic, name);
      const where = `"${topic}" of ${node}`;
      const texts = new Set<string>();
      const published = new Map(
        this.published.filter((one) => one.origin === node && one.topic === topic && one.life === life)
          .map((one) => [one.headId, one]),
      );
      const ranges = this.deleted.filter((one) => one.origin === node && one.topic === topic);
      const current = ranges.filter((range) => range.life === life);
      for (const [head, one] of published) {
        if (log[head - 1]?.id !== one.id) problems.push(`${where}: acknowledged message ${head} is lost`);
      }
      log.forEach(({ headId, payload, deleted }, at) => {
        if (headId !== at + 1) problems.push(`${where}: head ${headId} at place ${at + 1}`);
        const covers = ({ from, to }: Deleted) => from <= headId && headId <= to;
        if (!deleted && current.some((range) => range.acknowledged && covers(range))) {
          problems.push(`${where}: message ${headId} is not deleted`);
        }
        if (deleted) {
          if (!ranges.some(covers)) problems.push(`${where}: message ${headId} is deleted by nobody`);
          if (payload.length > 0) problems.push(`${where}: deleted message ${headId} has its payload`);
          return;
        }
        const text = decoder.decode(payload);
        if (texts.has(text)) problems.push(`${where}: "${text}" is there twice`);
        texts.add(text);
        const expected = published.get(headId);
        if (expected !== undefined && expected.text !== text) {
          problems.push(`${where}: message ${headId} is "${text}", published was "${expected.text}"`);
        }
      });
    }
    return problems;
  }

  /** What is wrong with the queues, given whether forks are undecided and who receives whose logs. */
  async queueProblems(
    forked: boolean,
    receives: (node: string, from: string) => boolean,
    memoryOf: (node: string) => MemoryStore,
    nameOf: (node: string) => NodeName,
  ): Promise<string[]> {
    const problems: string[] = [];
    for (const { source, target, queue, number, life, acknowledged } of this.enqueued) {
      const key = consumptionKey(target, queue, source, String(number));
      const consumption = this.#consumed.get(key) ?? { acknowledged: 0, asked: 0 };
      const where = `"${number}" from ${source} for queue "${queue}" of ${target}`;
      if (consumption.acknowledged > 1) problems.push(`${where} was acknowledged twice`);
      // What was on its way from a node that lost its data, or in the queues of one, may be lost with it.
      if (!acknowledged || this.lost.has(source) || life !== this.life(target)) continue;
      if (source !== target && !receives(target, source)) continue;
      if (consumption.asked === 0) problems.push(`${where} has not come out of the queue`);
      // The receipts of a node that lost its data are a forked log, until that is decided.
      if (source === target || forked && this.lost.has(target) || !receives(source, target)) continue;
      const topic = FIFO_TOPIC_PREFIX + ["tenant", "line", target].join("/");
      const log = await readLog(memoryOf(source), topic, nameOf(source));
      const left = log.filter(({ deleted }) => !deleted).length;
      if (left > 0) problems.push(`${source} still has ${left} messages for ${target}`);
    }
    return [...new Set(problems)];
  }
}

function consumptionKey(...parts: string[]): string {
  return parts.join(" ");
}
