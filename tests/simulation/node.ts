import { Bus } from "../../daemon/bus/bus.ts";
import type { Timer } from "../../daemon/bus/timer.ts";
import type { MemoryStore } from "../../daemon/store/memory/store.ts";
import type { NodeName } from "../../daemon/store/store.ts";
import { Synchronizer } from "../../daemon/sync/synchronizer.ts";
import { Disk, DiskStore } from "./disk.ts";
import { type Answerer, type PeerManners, SimulatedLink } from "./link.ts";
import type { Network } from "./network.ts";
import type { Random } from "./random.ts";
import type { Trace } from "./trace.ts";

/** The wall clock at the beginning of a run. */
export const EPOCH_MS = 1_700_000_000_000;
/** Milliseconds between two rounds of polling. */
const POLL_INTERVAL_MS = 1_000;
/** Payload and headers of one message: larger ones are refused. */
export const MESSAGE_BYTES = 1_000;

/** What all nodes of a run share. */
export interface World {
  readonly network: Network;
  readonly trace: Trace;
  /** What must not happen: the run fails with it. */
  readonly fail: (what: string) => void;
  /** Whether a session may end for this reason. */
  readonly mayBreak: (reason: string) => boolean;
}

/** One peer that a node follows. */
export interface Following {
  /** What the peer is called. */
  readonly peer: string;
  readonly to: SimulatedNode;
  readonly manners: PeerManners;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** One run of a node's daemon, from its start to its death. */
export class Process implements Answerer {
  readonly name: string;
  readonly bus: Bus;
  readonly store: DiskStore;
  readonly timer: Timer;
  readonly sync: Synchronizer;
  readonly unexpected: (what: string, error: unknown) => void;
  readonly #life: Life;

  constructor(name: string, bus: Bus, store: DiskStore, life: Life, sync: Synchronizer, world: World) {
    this.name = name;
    this.bus = bus;
    this.store = store;
    this.#life = life;
    this.timer = life.timer;
    this.sync = sync;
    this.unexpected = (what, error) => this.alive && world.fail(`${name}: ${what}: ${error}`);
  }

  get alive(): boolean {
    return this.#life.alive;
  }

  onDeath(callback: () => void): void {
    this.#life.onDeath(callback);
  }

  die(): void {
    this.#life.end();
    this.store.die();
  }
}

/** What ends with a process. */
class Life {
  readonly timer: Timer;
  #alive = true;
  readonly #mourners: (() => void)[] = [];

  constructor(timer: Timer) {
    this.timer = (ms, callback) => timer(ms, () => this.#alive && callback());
  }

  get alive(): boolean {
    return this.#alive;
  }

  onDeath(callback: () => void): void {
    this.#mourners.push(callback);
  }

  end(): void {
    this.#alive = false;
    for (const callback of this.#mourners.splice(0)) callback();
  }
}

/** A node: its disk, its clock, and the daemon that runs or does not. */
export class SimulatedNode {
  readonly name: string;
  readonly node: NodeName;
  readonly following = new Map<string, Following>();
  /** How far its wall clock is off, in milliseconds. */
  clockOffsetMs: number;
  disk: Disk;
  process: Process | undefined;
  readonly #world: World;
  readonly #random: Random;
  readonly #fsyncMs: number;
  /** Messages in memory for each log: with few of them, who reads slowly is served from the store. */
  readonly #recentMessages: number;
  /** Heads that are deleted at once: with few of them, much happens in the middle of a deletion. */
  readonly #deletedHeads: number;
  /** The same in bytes. */
  readonly #deletedBytes: number;
  #starting: DiskStore | undefined;

  constructor(name: string, world: World, random: Random) {
    this.name = name;
    this.node = { tenantId: "tenant", blName: "line", deviceId: name };
    this.#world = world;
    this.#random = random;
    this.#fsyncMs = random.pick([1, 10, 60]);
    this.#recentMessages = random.pick([4, 64, 4_096]);
    this.#deletedHeads = random.pick([1, 3, 20_000]);
    this.#deletedBytes = random.pick([1, MESSAGE_BYTES, 8 << 20]);
    this.clockOffsetMs = random.between(-3_600_000, 3_600_000);
    this.disk = new Disk(random.uuid());
  }

  /** What is on the disk, or about to be. */
  get memory(): MemoryStore {
    return this.process?.store.memory ?? this.disk.load();
  }

  /** Starts the daemon. Settles when it follows its peers, or has died before. */
  async start(): Promise<Process> {
    const { network, trace } = this.#world;
    const { scheduler } = network;
    trace.add(`${this.name} starts`);
    const store = this.#starting = new DiskStore(this.disk, scheduler, this.#random.fork(), this.#fsyncMs);
    const life = new Life((ms, callback) => scheduler.after(ms, callback));
    const now = () => EPOCH_MS + scheduler.now + this.clockOffsetMs;
    const random = this.#random.fork();
    const bus = await Bus.open({
      store,
      node: { ...this.node },
      clock: now,
      random: (into) => random.fill(into),
      timer: life.timer,
      limits: {
        messageBytes: MESSAGE_BYTES,
        recentMessagesPerLog: this.#recentMessages,
        deletedHeads: this.#deletedHeads,
        deletedBytes: this.#deletedBytes,
      },
    });
    this.#starting = undefined;
    const sync = new Synchronizer({
      bus,
      poll: { intervalMs: POLL_INTERVAL_MS, batchLimit: 7 },
      timer: life.timer,
      now,
      random: () => random.next(),
      events: {
        connected: (peer, _, mode) => trace.add(`${this.name} follows ${peer} by ${mode}`),
        failed: (peer, reason) => {
          trace.add(`${this.name} lost ${peer}: ${reason}`);
          if (life.alive && !this.#world.mayBreak(reason)) this.#world.fail(`${this.name}: ${reason}`);
        },
        forked: (peer, topic, origin, reason) =>
          trace.add(`${this.name} forked at ${peer}: "${topic}" of ${origin.deviceId}: ${reason}`),
        logFailed: (peer, topic, origin, reason) =>
          trace.add(`${this.name} failed at ${peer}: "${topic}" of ${origin.deviceId}: ${reason}`),
      },
    });
    const process = this.process = new Process(this.name, bus, store, life, sync, this.#world);
    await Promise.all([...this.following.values()].map((following) => this.#add(following)));
    return process;
  }

  /** The daemon dies at once; what was not synced is lost in part. */
  crash(): void {
    this.#world.trace.add(`${this.name} crashes`);
    this.#starting?.die();
    this.#starting = undefined;
    this.process?.die();
    this.process = undefined;
  }

  /** The daemon ends in order. */
  async stop(): Promise<void> {
    const { process } = this;
    if (process === undefined) return;
    this.#world.trace.add(`${this.name} stops`);
    await process.sync.close();
    await process.bus.close();
    await process.store.close();
    if (this.process !== process) return;
    process.die();
    this.process = undefined;
    this.#world.trace.add(`${this.name} stopped`);
  }

  async follow(following: Following): Promise<void> {
    this.following.set(following.peer, following);
    this.#world.trace.add(`${this.name} adds ${following.peer}`);
    await this.#add(following);
  }

  async unfollow(peer: string): Promise<void> {
    this.following.delete(peer);
    this.#world.trace.add(`${this.name} removes ${peer}`);
    await this.process?.sync.remove(peer);
  }

  async #add({ peer, to, manners, include, exclude }: Following): Promise<void> {
    const { process } = this;
    const { network } = this.#world;
    await process?.sync.add({
      peer,
      identity: to.node,
      include,
      exclude,
      dial: () => {
        const connection = network.connect(process, to.process, to.name);
        return Promise.resolve(new SimulatedLink(connection, process, to.process, manners));
      },
    });
  }
}
