import { BusError } from "../../daemon/bus/error.ts";
import type { SequencedMessage } from "../../daemon/store/store.ts";
import { SimulatedConsumer } from "./consumer.ts";
import { Convergence } from "./convergence.ts";
import { Disk } from "./disk.ts";
import { Follower } from "./follower.ts";
import { forbidRuntime } from "./guard.ts";
import { Model, readAll, readLog, readSetAside } from "./model.ts";
import { Network } from "./network.ts";
import { type Following, type Process, SimulatedNode } from "./node.ts";
import { Random } from "./random.ts";
import { Scheduler } from "./scheduler.ts";
import { drawShape, type Shape, TOPICS } from "./shape.ts";
import { Trace } from "./trace.ts";
import { Wanted } from "./wanted.ts";
import { Workload } from "./workload.ts";

/** Simulated milliseconds of work and trouble. */
const WORK_MS = 18_000;
/** Simulated milliseconds after the last trouble in which everything must have come to rest. */
const CONVERGENCE_MS = 240_000;
/** Milliseconds between two looks at it. */
const LOOK_MS = 5_000;
/** What is written down late has been by then. */
const REST_MS = 12_000;
/** How long it is watched that nothing happens any more. */
const IDLE_MS = 30_000;
/** Events per simulated second beyond which something runs in circles. */
const MAX_EVENTS_PER_SECOND = 20_000;
/** Commits that a backup made just before lacks at most. */
const NEW_COMMITS = 20;
/** Consumers of one node at most. */
const MAX_CONSUMERS = 3;

/** Why a session may end where the network says nothing wrong. */
const BREAKS = [
  "the peer is gone",
  "the peer is silent",
  "the connection was reset",
  "the link was closed",
  "the answer took too long",
  "nobody listens",
  "the node is stopping",
  "the peer ended the session",
  "a log was set aside",
  "the log was set aside meanwhile",
  "the peer says nothing any more",
];

/** How a run ended. */
export interface Outcome {
  readonly seed: number;
  readonly shape: Shape;
  readonly published: number;
  readonly messages: number;
  /** What was wrong; nothing in a good run. */
  readonly failures: readonly string[];
  /** The last things that happened. */
  readonly last: readonly string[];
  /** The same for the same run. */
  readonly hash: string;
}

/** Runs one seed. */
export async function simulate(seed: number, print?: (line: string) => void): Promise<Outcome> {
  const run = new Simulation(seed, print);
  return await run.run();
}

class Simulation {
  readonly #seed: number;
  readonly #random: Random;
  readonly #scheduler = new Scheduler();
  readonly #trace: Trace;
  readonly #shape: Shape;
  readonly #network: Network;
  readonly #failures: string[] = [];
  readonly #model: Model;
  readonly #nodes: SimulatedNode[];
  readonly #followers: Map<SimulatedNode, readonly Follower[]>;
  readonly #consumers: Map<SimulatedNode, readonly SimulatedConsumer[]>;
  readonly #workload: Workload;
  readonly #convergence: Convergence;

  constructor(seed: number, print: ((line: string) => void) | undefined) {
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#trace = new Trace(this.#scheduler, print);
    this.#shape = drawShape(this.#random);
    this.#network = new Network(this.#scheduler, this.#random.fork());
    const fail = (what: string) => this.#fail(what);
    this.#model = new Model(fail);
    const mayBreak = (reason: string) =>
      BREAKS.some((known) => reason.includes(known)) ||
      this.#shape.mangling && !reason.includes("unexpected error");
    const world = { network: this.#network, trace: this.#trace, fail, mayBreak };
    this.#nodes = Array.from(
      { length: this.#shape.nodes },
      (_, at) => new SimulatedNode(`n${at}`, world, this.#random.fork()),
    );
    this.#followers = new Map(this.#nodes.map((node) => [node, this.#drawFollowers()]));
    this.#consumers = new Map(this.#nodes.map((node) => [node, this.#drawConsumers(node)]));
    this.#workload = new Workload({
      shape: this.#shape,
      nodes: this.#nodes,
      network: this.#network,
      model: this.#model,
      trace: this.#trace,
      followers: this.#followers,
      consumers: this.#consumers,
      fail,
    }, this.#random.fork());
    this.#convergence = new Convergence(this.#nodes, this.#model);
  }

  async run(): Promise<Outcome> {
    const unhandled = (event: PromiseRejectionEvent) => {
      event.preventDefault();
      this.#fail(`a rejection was not handled: ${event.reason?.stack ?? event.reason}`);
    };
    globalThis.addEventListener("unhandledrejection", unhandled);
    try {
      using _guard = forbidRuntime((what) => this.#fail(what));
      await this.#work();
      await this.#heal();
      if (this.#shape.disaster !== "none") await this.#decide();
      await this.#rest();
    } catch (error) {
      this.#fail(error instanceof Error ? `${error.stack}` : String(error));
    } finally {
      globalThis.removeEventListener("unhandledrejection", unhandled);
    }
    return {
      seed: this.#seed,
      shape: this.#shape,
      published: this.#model.published.length,
      messages: this.#network.messages,
      failures: this.#failures,
      last: this.#trace.last,
      hash: this.#trace.hash,
    };
  }

  /** The nodes are used, and everything that can go wrong does. */
  async #work(): Promise<void> {
    const { nodes, topology, disaster, policy, mangling } = this.#shape;
    this.#trace.add(
      `seed ${this.#seed}: ${nodes} nodes, ${topology}, ${disaster}, ${policy}, mangling ${mangling}`,
    );
    for (const { from, to, manners, include, exclude } of this.#shape.edges) {
      const [node, other] = [this.#nodes[from], this.#nodes[to]];
      if (node === undefined || other === undefined) continue;
      node.following.set(other.name, { peer: other.name, to: other, manners, include, exclude });
    }
    for (const node of this.#nodes) this.#workload.start(node);
    const random = this.#random.fork();
    if (disaster !== "none") {
      this.#scheduler.after(
        WORK_MS * random.between(0.4, 0.8),
        () => void this.#ruin(random.pick(this.#nodes)),
      );
    }
    while (this.#scheduler.now < WORK_MS) {
      this.#workload.step();
      await this.#pass(random.between(10, 200));
    }
  }

  /** A node loses its data, or gets back what it had some time before. */
  async #ruin(node: SimulatedNode): Promise<void> {
    const { disaster } = this.#shape;
    node.crash();
    const before = node.disk.load();
    await this.#model.lose(node.name, node.node, before);
    this.#trace.add(`${node.name} is ${disaster}`);
    if (disaster === "wiped") {
      node.disk = new Disk(this.#random.uuid());
      this.#model.wiped.add(node.name);
    } else {
      const { length } = node.disk.commits;
      const lost = this.#random.below(
        this.#random.chance(0.3) ? length + 1 : Math.min(length, NEW_COMMITS) + 1,
      );
      node.disk.commits = node.disk.commits.slice(0, length - lost);
    }
    for (const follower of this.#followers.get(node) ?? []) follower.reset();
    const left = node.disk.load();
    for (const consumer of this.#consumers.get(node) ?? []) await consumer.ruin(before, left);
    this.#workload.start(node);
  }

  /** Nothing goes wrong any more: what was acknowledged must come to be where it belongs. */
  async #heal(): Promise<void> {
    this.#network.heal();
    this.#trace.add("everything is healed");
    // Who was about to come back anyway has come back by then.
    await this.#pass(20_000);
    for (const node of this.#nodes) if (node.process === undefined) this.#workload.start(node);
    for (const node of this.#nodes) {
      for (const following of [...node.following.values()]) {
        if (!this.#workload.mangled.has(`${node.name} ${following.to.name}`)) continue;
        // What was learned from mangled messages can be wrong: the peer is taken up anew under another name.
        await this.#scheduler.finish(node.unfollow(following.peer), 10_000, "leaving a peer");
        await this.#scheduler.finish(
          node.follow({ ...following, peer: `${following.peer}'` }),
          10_000,
          "following",
        );
      }
    }
    await this.#converge(this.#shape.disaster !== "none");
  }

  /** Waits until there are no problems. The run fails with those that stay. */
  async #converge(forked: boolean): Promise<void> {
    let problems: string[] = [];
    for (const end = this.#scheduler.now + CONVERGENCE_MS; this.#scheduler.now < end;) {
      await this.#pass(LOOK_MS);
      await this.#record();
      problems = await this.#problems(forked);
      if (problems.length === 0) break;
    }
    for (const problem of problems) this.#fail(problem);
    this.#trace.add(`converged, ${problems.length} problems`);
  }

  async #record(): Promise<void> {
    if (this.#model.lost.size === 0) return;
    for (const { process } of this.#nodes) {
      if (process !== undefined) await this.#scheduler.finish(process.sync.record(), 10_000, "recording");
    }
  }

  async #problems(forked: boolean): Promise<string[]> {
    const problems = await this.#convergence.problems(forked);
    for (const { name, node, memory } of this.#nodes) {
      problems.push(...await this.#model.ownProblems(name, node, memory, TOPICS));
    }
    problems.push(
      ...await this.#model.queueProblems(
        forked,
        (node, from) => this.#convergence.receives(this.#nodeOf(node), this.#nodeOf(from), "$msgbus.fifo"),
        (node) => this.#nodeOf(node).memory,
        (node) => this.#nodeOf(node).node,
      ),
    );
    for (const [node, followers] of this.#followers) {
      for (const follower of followers) {
        const stored = await readLog(node.memory, follower.topic, follower.origin);
        const difference = follower.difference(stored);
        if (difference !== undefined) {
          problems.push(
            `subscription of "${follower.topic}" of ${follower.origin.deviceId} on ${node.name}: ${difference}`,
          );
        }
      }
    }
    for (const [{ memory }, consumers] of this.#consumers) {
      const [stored, setAside] = [await readAll(memory), await readSetAside(memory)];
      problems.push(...consumers.flatMap((consumer) => consumer.difference(stored, setAside) ?? []));
    }
    return problems;
  }

  /** Somebody decides about the forks. */
  async #decide(): Promise<void> {
    const [ruined] = [...this.#model.lost.keys()].map((name) => this.#nodeOf(name));
    if (ruined === undefined || this.#failures.length > 0) return;
    this.#trace.add(`the forks of ${ruined.name} are decided: ${this.#shape.policy}`);
    switch (this.#shape.policy) {
      case "refuse":
        return await this.#refuseAll(ruined);
      case "the origin's log":
        return await this.#adoptFrom(ruined);
    }
  }

  /** Everybody keeps what they have. */
  async #refuseAll(ruined: SimulatedNode): Promise<void> {
    for (const node of this.#nodes) {
      for (const following of node.following.values()) await this.#resolve(node, following, ruined, "refuse");
    }
    await this.#pass(REST_MS);
    for (const node of this.#nodes) {
      const open = (await node.memory.peerSyncStates()).filter(({ fork }) => fork === "open");
      for (const { peer, topic } of open) this.#fail(`${node.name}: "${topic}" at ${peer} is forked still`);
    }
    await this.#converge(true);
  }

  /** Everybody takes the log that the origin has now. */
  async #adoptFrom(origin: SimulatedNode): Promise<void> {
    const { process } = origin;
    if (process === undefined) return this.#fail(`${origin.name} is down`);
    const distances = this.#convergence.distances(origin, "$msgbus.");
    for (let round = 0; round < 6; round++) {
      // The logs go on, that of delete markers too: copies of another one that were as long, or of one that did not exist
      // any more, could not be told from it before.
      for (const topic of TOPICS) {
        this.#workload.publishTo(origin, process, topic);
        this.#workload.deleteFrom(origin, process, topic);
      }
      await this.#pass(5_000);
      for (const following of origin.following.values()) {
        await this.#resolve(origin, following, origin, "refuse");
      }
      for (const node of distances.keys()) {
        for (const following of node.following.values()) await this.#adoptNearer(node, following, origin);
        await this.#pass(5_000);
      }
    }
    // Copies that are as long as the log, of the same data directory or of an unknown one, can't be told from it. And
    // where topics come around a circle on different ways, markers wait for forks at peers that nobody takes a log from.
    const { disaster, topology, edges } = this.#shape;
    const isCircle = topology === "ring" || topology === "mesh";
    const tellable = disaster === "wiped" &&
      edges.every(({ manners, include, exclude }) =>
        manners.incarnations && !(isCircle && include.length + exclude.length > 0)
      );
    await this.#converge(!tellable);
  }

  /**
   * Takes the logs for which the peer is nearer to their origin: where peers form a circle, a log that nobody wants any
   * more must not come back from the other side of it. Filters make other ways for other topics.
   */
  async #adoptNearer(node: SimulatedNode, following: Following, origin: SimulatedNode): Promise<void> {
    for (const { peer, topic, origin: { deviceId }, fork } of await node.memory.peerSyncStates()) {
      if (peer !== following.peer || deviceId !== origin.name || fork !== "open") continue;
      const distances = this.#convergence.distances(origin, topic);
      const [from, to] = [following.to, node].map((one) => distances.get(one) ?? Infinity);
      if (from !== undefined && to !== undefined && from < to) {
        await this.#resolve(node, following, origin, "adopt", topic);
      }
    }
  }

  /** Decides about one topic, or with "" about all. */
  async #resolve(
    node: SimulatedNode,
    { peer }: Following,
    { node: origin }: SimulatedNode,
    decision: "adopt" | "refuse",
    topic = "",
  ): Promise<void> {
    if (node.process === undefined) return;
    const resolving = node.process.sync.resolve({ peer, origin, topic, decision });
    try {
      const resolved = await this.#scheduler.finish(resolving, 60_000, "resolving a fork");
      for (const { topic, archive } of resolved) {
        this.#trace.add(`${node.name}: ${decision} "${topic}" of ${peer}, set aside as "${archive}"`);
      }
    } catch (error) {
      // Whoever decides tries again later where the peer must be asked and can't.
      const mayFail = error instanceof BusError &&
        (error.code === "not_found" || decision === "adopt" && error.message.includes("can't be reached"));
      if (!mayFail) throw error;
    }
  }

  /** Everything has come to rest: nobody says anything any more. */
  async #rest(): Promise<void> {
    if (this.#failures.length > 0) return;
    this.#workload.stopConsuming();
    await this.#pass(REST_MS);
    const { messages } = this.#network;
    const { steps } = this.#scheduler;
    await this.#pass(IDLE_MS);
    const polls = this.#nodes.flatMap(({ following }) => [...following.values()])
      .filter(({ manners }) => !manners.sync).length;
    // A log that can't be copied because its origin began anew is tried again twice a minute.
    const retries = this.#shape.disaster === "none" ? 0 : 10 * this.#shape.edges.length;
    // A round of polling is a question and an answer.
    const allowed = polls * 2 * (IDLE_MS / 1_000 + 1) + retries;
    const said = this.#network.messages - messages;
    const ran = this.#scheduler.steps - steps;
    this.#trace.add(`at rest: ${said} messages, ${ran} events`);
    if (said > allowed) this.#fail(`at rest ${said} messages were sent, ${allowed} are allowed`);
    if (ran > 4 * allowed + 20) this.#fail(`at rest ${ran} events ran`);
  }

  async #pass(ms: number): Promise<void> {
    const { steps } = this.#scheduler;
    await this.#scheduler.runUntil(this.#scheduler.now + ms);
    const limit = MAX_EVENTS_PER_SECOND * Math.max(1, ms / 1_000);
    if (this.#scheduler.steps - steps > limit) this.#fail(`more than ${limit} events ran within ${ms} ms`);
    if (this.#failures.length > 20) throw new Error("too much is wrong to go on");
  }

  #drawFollowers(): Follower[] {
    const followers: Follower[] = [];
    for (const { node } of this.#nodes) {
      for (const topic of TOPICS) {
        if (!this.#random.chance(0.6)) continue;
        const fail = (what: string) => this.#fail(what);
        followers.push(new Follower(topic, { ...node }, this.#scheduler, this.#random.fork(), fail));
      }
    }
    return followers;
  }

  #drawConsumers(node: SimulatedNode): SimulatedConsumer[] {
    const random = this.#random.fork();
    const world = {
      scheduler: this.#scheduler,
      fail: (what: string) => this.#fail(what),
      erase: (process: Process, { topic, origin, headId }: SequencedMessage) => {
        if (origin.deviceId !== node.name || !TOPICS.some((known) => known === topic)) return;
        if (this.#scheduler.now < WORK_MS) this.#workload.deleteFrom(node, process, topic, headId);
      },
    };
    return Array.from(
      { length: random.below(MAX_CONSUMERS + 1) },
      () => new SimulatedConsumer(node.name, new Wanted(this.#nodes, random), world, random.fork()),
    );
  }

  #nodeOf(name: string): SimulatedNode {
    const node = this.#nodes.find((node) => node.name === name);
    if (node === undefined) throw new Error(`there is no node "${name}"`);
    return node;
  }

  #fail(what: string): void {
    this.#trace.add(`FAILED: ${what}`);
    this.#failures.push(what);
  }
}
