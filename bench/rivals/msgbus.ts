import { connect } from "@msgbus/sdk";
import { DaemonProcess } from "../../tests/daemon_process.ts";
import { h2loadRate, publishBody } from "../h2load.ts";
import { FanOut, publishInLanes, warmUpOf } from "./lanes.ts";
import type { InFlight, RunningSystem, System } from "./system.ts";

const TOPIC = "bench";

/** The name of our system. */
export const OURS = "msgbus";

/** Our daemon with its defaults. */
export function msgbus(version: string): System {
  return {
    name: OURS,
    version,
    durability: (inFlight) => inFlight === 1 ? "fsync before every ack" : "group commit",
    load: (inFlight) =>
      ({ 1: "h2load, unary", 50: "h2load, unary, 1 connection", 5_000: "SDK publish()" })[inFlight],
    replayLoad: "SDK consume()",
    fanoutLoad: "SDK publish() and consume(), 100 connections",
    messagesPerCommit: (inFlight) => inFlight === 1 ? 1 : undefined,
    start: (folder) => RunningMsgbus.start(folder),
  };
}

class RunningMsgbus implements RunningSystem {
  readonly proof: string;
  readonly #daemon: DaemonProcess;
  readonly #folder: string;

  private constructor(daemon: DaemonProcess, folder: string, proof: string) {
    this.#daemon = daemon;
    this.#folder = folder;
    this.proof = proof;
  }

  static async start(folder: string): Promise<RunningMsgbus> {
    const daemon = await DaemonProcess.start(["--data", `${folder}/bus.sqlite`, "--durability", "full"]);
    const proof = /"durability":"(\w+)"/.exec(daemon.log)?.[1];
    if (proof !== "full") throw new Error(`the daemon runs with durability ${proof}`);
    return new RunningMsgbus(daemon, folder, `durability ${proof}`);
  }

  get pid(): number {
    return this.#daemon.pid;
  }

  async publish(inFlight: InFlight, messages: number, payloadBytes: number): Promise<number> {
    if (inFlight === 5_000) return await this.#publishThroughSdk(inFlight, messages, payloadBytes);
    await this.#publishByH2load(1, inFlight, warmUpOf(messages), payloadBytes);
    return await this.#publishByH2load(1, inFlight, messages, payloadBytes);
  }

  async fill(messages: number, payloadBytes: number): Promise<void> {
    await this.#publishThroughSdk(5_000, messages, payloadBytes);
  }

  async replay(messages: number): Promise<number> {
    await using client = connect(this.#daemon.address);
    const begin = performance.now();
    const stream = client.consume(TOPIC);
    for (let count = 0; count < messages;) count += (await stream.nextBatch())?.length ?? 0;
    const rate = messages / ((performance.now() - begin) / 1_000);
    stream.close();
    return rate;
  }

  async fanout(subscribers: number, messages: number, payloadBytes: number): Promise<number> {
    await using publisher = connect(this.#daemon.address);
    const payload = crypto.getRandomValues(new Uint8Array(payloadBytes));
    const publish = () => publisher.publish(TOPIC, payload);
    const { headId } = await publish();
    const clients = Array.from({ length: subscribers }, () => connect(this.#daemon.address));
    const fan = new FanOut(subscribers);
    const following = clients.map(async (client) => {
      const stream = client.consume(TOPIC, { from: { head: headId } });
      for (let batch = await stream.nextBatch(); batch !== null; batch = await stream.nextBatch()) {
        fan.delivered(batch.length);
      }
    });
    // The first message to each says that it is live.
    await fan.until(subscribers);
    await fan.rate(warmUpOf(messages), publish);
    const rate = await fan.rate(messages, publish);
    await Promise.all(clients.map((client) => client.close()));
    await Promise.all(following);
    return rate;
  }

  async stop(): Promise<void> {
    await this.#daemon.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
  }

  async #publishByH2load(connections: number, streams: number, calls: number, payloadBytes: number) {
    const bodyFile = `${this.#folder}.body`;
    await Deno.writeFile(bodyFile, publishBody(payloadBytes));
    try {
      return await h2loadRate({ address: this.#daemon.address, bodyFile, connections, streams, calls });
    } finally {
      await Deno.remove(bodyFile);
    }
  }

  async #publishThroughSdk(inFlight: number, messages: number, payloadBytes: number): Promise<number> {
    await using client = connect(this.#daemon.address);
    const payload = crypto.getRandomValues(new Uint8Array(payloadBytes));
    const publish = () => client.publish(TOPIC, payload);
    await publishInLanes(warmUpOf(messages), inFlight, publish);
    return await publishInLanes(messages, inFlight, publish);
  }
}
