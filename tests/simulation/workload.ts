import { BusError } from "../../daemon/bus/error.ts";
import { encodeHeaders } from "../../daemon/bus/headers.ts";
import { Batch } from "./batch.ts";
import type { SimulatedConsumer } from "./consumer.ts";
import type { Follower } from "./follower.ts";
import type { Model } from "./model.ts";
import type { Network } from "./network.ts";
import type { Process, SimulatedNode } from "./node.ts";
import type { Random } from "./random.ts";
import { type Shape, TOPICS } from "./shape.ts";
import type { Trace } from "./trace.ts";

const QUEUES = ["jobs", "mails"] as const;
/** Milliseconds that stopping a daemon, or leaving a peer, may take. */
const CLOSING_MS = 8_000;
/** Messages at the end of a log that are new. */
const NEW_MESSAGES = 8;
/** Messages of a long deletion at most. */
const MANY_MESSAGES = 40;
const HOUR_MS = 3_600_000;

/** What the work is done on. */
export interface Stage {
  readonly shape: Shape;
  readonly nodes: readonly SimulatedNode[];
  readonly network: Network;
  readonly model: Model;
  readonly trace: Trace;
  readonly followers: ReadonlyMap<SimulatedNode, readonly Follower[]>;
  readonly consumers: ReadonlyMap<SimulatedNode, readonly SimulatedConsumer[]>;
  readonly fail: (what: string) => void;
}

/** Random work and random trouble. */
export class Workload {
  readonly #stage: Stage;
  readonly #random: Random;
  readonly #encoder = new TextEncoder();
  #texts = 0;
  #enqueued = 0;
  #consuming = true;
  /** Peers that are followed no more for a while. */
  readonly #away = new Set<string>();
  /** Links whose weather was mangling. */
  readonly mangled = new Set<string>();

  constructor(stage: Stage, random: Random) {
    this.#stage = stage;
    this.#random = random;
  }

  /** Starts a node with everybody who uses it. */
  start(node: SimulatedNode): void {
    this.#watch(
      node.start().then((process) => {
        for (const follower of this.#stage.followers.get(node) ?? []) this.#watch(follower.follow(process));
        for (const consumer of this.#stage.consumers.get(node) ?? []) this.#watch(consumer.consume(process));
        for (const queue of QUEUES) this.#watch(this.#consume(node, process, queue));
      }),
    );
  }

  /** Nobody takes anything out of queues any more. */
  stopConsuming(): void {
    this.#consuming = false;
  }

  /** Does one thing. */
  step(): void {
    const random = this.#random;
    const node = random.pick(this.#stage.nodes);
    const dice = random.below(100);
    if (dice < 38) this.publish(node);
    else if (dice < 45) this.#publishBatches(node);
    else if (dice < 57) this.#delete(node);
    else if (dice < 77) this.#enqueue(node);
    else if (dice < 82) this.#crash(node);
    else if (dice < 84) this.#stop(node);
    else if (dice < 90) this.#partition();
    else if (dice < 94) this.#changeWeather();
    else if (dice < 97) this.#stepClock(node);
    else this.#leaveForAWhile(node);
  }

  /** Publishes a burst over some topics. */
  publish(node: SimulatedNode): void {
    const { process } = node;
    if (process === undefined) return;
    const random = this.#random;
    const topics = [random.pick(TOPICS), random.pick(TOPICS)];
    const count = random.chance(0.2) ? 5 + random.below(20) : 1 + random.below(3);
    for (let i = 0; i < count; i++) this.publishTo(node, process, random.pick(topics));
  }

  publishTo(node: SimulatedNode, process: Process, topic: string): void {
    const { model, trace } = this.#stage;
    const text = `${node.name} ${++this.#texts}`;
    const life = model.life(node.name);
    const headers = this.#random.chance(0.3) ? encodeHeaders({ number: text }) : new Uint8Array();
    this.#settle(
      `publish ${text} to "${topic}"`,
      process.bus.publish({ topic, payload: this.#encoder.encode(text), headers }),
      ({ headId, id }) => {
        trace.add(`${node.name} published "${text}" as ${headId} of "${topic}"`);
        model.published.push({ origin: node.name, life, topic, headId, id, text });
      },
    );
  }

  /** Publishes a batch or some at once, over some topics, with other messages between. */
  #publishBatches(node: SimulatedNode): void {
    const { process } = node;
    if (process === undefined) return;
    const random = this.#random;
    const topics = [random.pick(TOPICS), random.pick(TOPICS), random.pick(TOPICS)];
    for (let left = 1 + random.below(2); left > 0; left--) {
      if (random.chance(0.3)) this.publishTo(node, process, random.pick(topics));
      else this.#publishBatch(node, process, topics);
    }
  }

  #publishBatch({ name }: SimulatedNode, { bus }: Process, topics: readonly string[]): void {
    const { model, trace, fail } = this.#stage;
    const batch = new Batch(topics, this.#random, () => `${name} ${++this.#texts}`);
    const life = model.life(name);
    const { messages } = batch;
    const entered = () => batch.scribble();
    this.#settle(`publish a batch on ${name}`, bus.publishBatch({ messages, entered }), (outcomes) => {
      for (const { topic, text, headId, id } of batch.stored(outcomes, fail)) {
        trace.add(`${name} published "${text}" in a batch as ${headId} of "${topic}"`);
        model.published.push({ origin: name, life, topic, headId, id, text });
      }
    });
  }

  #delete(node: SimulatedNode): void {
    const { process } = node;
    if (process === undefined) return;
    this.deleteFrom(node, process, this.#random.pick(TOPICS));
  }

  /** Deletes some messages of a log of the node, from a head on or anywhere. */
  deleteFrom(node: SimulatedNode, process: Process, topic: string, fromHeadId?: number): void {
    const { model, trace } = this.#stage;
    const head = process.bus.logHead(topic, node.node).headId;
    if (head === 0 || fromHeadId !== undefined && fromHeadId > head) return;
    // Half of the time what is new, and may be on its way to whoever reads.
    const from = fromHeadId ??
      head - this.#random.below(this.#random.chance(0.5) ? Math.min(head, NEW_MESSAGES) : head);
    const to = Math.min(head, from + this.#random.below(this.#random.chance(0.2) ? MANY_MESSAGES : 8));
    const range = {
      origin: node.name,
      life: model.life(node.name),
      topic,
      from,
      to,
      acknowledged: false,
    };
    model.deleted.push(range);
    this.#settle(
      `delete ${from} to ${to} of "${topic}" on ${node.name}`,
      process.bus.deleteRange({ topic, fromHeadId: from, toHeadId: to }),
      () => {
        trace.add(`${node.name} deleted ${from} to ${to} of "${topic}"`);
        range.acknowledged = true;
      },
    );
  }

  #enqueue(node: SimulatedNode): void {
    const { process } = node;
    if (process === undefined) return;
    const { model, trace, nodes } = this.#stage;
    const target = this.#random.pick(nodes);
    const queue = this.#random.pick(QUEUES);
    for (let left = 1 + this.#random.below(3); left > 0; left--) {
      const number = ++this.#enqueued;
      const life = model.life(target.name);
      const entry = { source: node.name, target: target.name, queue, number, life, acknowledged: false };
      model.enqueued.push(entry);
      const payload = this.#encoder.encode(String(number));
      this.#settle(
        `enqueue ${number} for ${target.name}`,
        process.bus.enqueueFifo({
          queue,
          topic: "job",
          target: { ...target.node },
          payload,
          headers: new Uint8Array(),
        }),
        () => {
          trace.add(`${node.name} enqueued ${number} for "${queue}" of ${target.name}`);
          entry.acknowledged = true;
        },
      );
    }
  }

  /** Takes out of a queue what comes, while the process lives. */
  async #consume(node: SimulatedNode, { bus }: Process, queue: string): Promise<void> {
    const { model, trace, fail, network } = this.#stage;
    const random = this.#random.fork();
    while (this.#consuming) {
      await network.scheduler.sleep(random.between(20, 500));
      try {
        const { id, source, payload } = await bus.peekFifo(queue);
        const text = new TextDecoder().decode(payload);
        model.peeked(node.name, queue, source.deviceId, text);
        if (random.chance(0.2)) {
          if (!await bus.rejectFifo(queue, id)) fail(`${node.name} can't reject "${text}" in "${queue}"`);
          continue;
        }
        const acknowledged = model.acknowledging(node.name, queue, source.deviceId, text);
        if (!await bus.ackFifo(queue, id)) fail(`${node.name} can't acknowledge "${text}" in "${queue}"`);
        acknowledged();
        trace.add(`${node.name} consumed "${text}" of ${source.deviceId} in "${queue}"`);
      } catch (error) {
        if (error instanceof BusError && error.code === "not_found") continue;
        if (error instanceof BusError && error.code === "unavailable") return;
        throw error;
      }
    }
  }

  #crash(node: SimulatedNode): void {
    node.crash();
    this.#restartLater(node);
  }

  #stop(node: SimulatedNode): void {
    const { process } = node;
    if (process === undefined) return;
    this.#watch(node.stop());
    this.#stage.network.scheduler.after(CLOSING_MS, () => {
      if (process.alive) this.#stage.fail(`${node.name} does not stop`);
    });
    this.#restartLater(node);
  }

  #restartLater(node: SimulatedNode): void {
    const { scheduler } = this.#stage.network;
    const restart = () => {
      if (node.process !== undefined) return;
      node.crash(); // ends a start that is under way
      this.start(node);
    };
    scheduler.after(this.#random.pick([50, 500, 6_000]) * this.#random.next(), restart);
  }

  #partition(): void {
    const { network } = this.#stage;
    const [a, b] = this.#pair();
    network.partition(a.name, b.name, true);
    this.#stage.trace.add(`${a.name} and ${b.name} are cut off from each other`);
    network.scheduler.after(this.#random.pick([500, 4_000, 12_000]) * this.#random.next(), () => {
      network.partition(a.name, b.name, false);
      this.#stage.trace.add(`${a.name} and ${b.name} reach each other again`);
    });
  }

  #changeWeather(): void {
    const { network, shape, trace } = this.#stage;
    const [a, b] = this.#pair();
    const weather = network.weather(a.name, b.name);
    weather.delayMs = this.#random.pick([1, 20, 300]);
    weather.loss = this.#random.pick([0, 0.02, 0.2]);
    weather.mangling = shape.mangling ? this.#random.pick([0, 0.05, 0.2]) : 0;
    if (weather.mangling > 0) this.mangled.add(`${a.name} ${b.name}`).add(`${b.name} ${a.name}`);
    const { delayMs, loss, mangling } = weather;
    trace.add(
      `${a.name} and ${b.name}: messages take up to ${delayMs} ms, ${loss} lost, ${mangling} mangled`,
    );
  }

  #stepClock(node: SimulatedNode): void {
    node.clockOffsetMs = this.#random.between(-HOUR_MS, HOUR_MS);
    this.#stage.trace.add(`the clock of ${node.name} is ${Math.round(node.clockOffsetMs)} ms off`);
  }

  #leaveForAWhile(node: SimulatedNode): void {
    const { process } = node;
    const all = [...node.following.values()];
    const following = all[this.#random.below(all.length)];
    if (process === undefined || following === undefined) return;
    const { peer } = following;
    const key = `${node.name} ${peer}`;
    if (this.#away.has(key)) return;
    this.#away.add(key);
    let left = false;
    this.#watch(node.unfollow(peer).then(() => left = true));
    this.#stage.network.scheduler.after(this.#random.between(1_000, CLOSING_MS), () => {
      if (!left && process.alive && node.process === process) {
        this.#stage.fail(`${node.name} does not leave ${peer}`);
      }
      this.#away.delete(key);
      this.#watch(node.follow(following));
    });
  }

  #pair(): [SimulatedNode, SimulatedNode] {
    const { from, to } = this.#random.pick(this.#stage.shape.edges);
    const [a, b] = [this.#stage.nodes[from], this.#stage.nodes[to]];
    if (a === undefined || b === undefined) throw new Error("an edge ends nowhere");
    return [a, b];
  }

  #settle<T>(what: string, call: Promise<T>, done: (result: T) => void): void {
    call.then(done, (error) => {
      const stops = error instanceof BusError && error.code === "unavailable";
      if (!stops) this.#stage.fail(`cannot ${what}: ${error}`);
    });
  }

  /** What must not fail, unless the bus closes meanwhile. */
  #watch(work: Promise<unknown>): void {
    work.catch((error) => {
      if (error instanceof BusError && error.code === "unavailable") return;
      this.#stage.fail(`an unexpected error occurred: ${error instanceof Error ? error.stack : error}`);
    });
  }
}
