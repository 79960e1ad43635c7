import assert from "node:assert/strict";
import { type Client, connect, type NodeId, type PeerState, type PeerSyncState } from "@msgbus/sdk";
import { DaemonProcess } from "../daemon_process.ts";

/** A name of a node. */
export function nodeOf(deviceId: string): NodeId {
  return { tenantId: "tenant", blName: "default", deviceId };
}

/** A daemon that can go away and come back at the same address, with the same data. */
export class Device implements AsyncDisposable {
  readonly name: string;
  readonly node: NodeId;
  /** Its SQLite file. */
  readonly data: string;
  /** Asks it, whenever it is there. */
  readonly client: Client;
  /** What it listens on. */
  readonly addresses: readonly string[];
  readonly #flags: readonly string[];
  #daemon: DaemonProcess;

  private constructor(name: string, data: string, daemon: DaemonProcess, flags: readonly string[]) {
    this.name = name;
    this.node = nodeOf(name);
    this.data = data;
    this.addresses = daemon.addresses;
    this.client = connect(this.address, { waitForReady: true });
    this.#flags = flags;
    this.#daemon = daemon;
  }

  /** Starts one; its first address must be of plain TCP. */
  static async start(
    folder: { readonly path: string },
    name: string,
    ...flags: readonly string[]
  ): Promise<Device> {
    return await Device.startWithin([], folder, name, ...flags);
  }

  /** Starts one in a network of its own; its first address must be a unix socket, which reaches everywhere. */
  static async startWithin(
    network: readonly string[],
    folder: { readonly path: string },
    name: string,
    ...flags: readonly string[]
  ): Promise<Device> {
    const data = `${folder.path}/${name}.sqlite`;
    const own = ["--device-id", name, "--data", data, ...flags];
    return new Device(name, data, await DaemonProcess.start(own, network), own);
  }

  /** Starts one that follows others. */
  static async follow(
    folder: { readonly path: string },
    name: string,
    peers: readonly (string | Device)[],
    ...flags: readonly string[]
  ): Promise<Device> {
    const endpoints = peers.map((peer) => typeof peer === "string" ? peer : peer.address);
    return await Device.start(folder, name, ...endpoints.flatMap((peer) => ["--peer", peer]), ...flags);
  }

  get address(): string {
    return this.addresses[0] ?? "";
  }

  /** What it wrote since it was started the last time. */
  get log(): string {
    return this.#daemon.log;
  }

  get pid(): number {
    return this.#daemon.pid;
  }

  /** Ends it as `kill -9` does. */
  kill(): Promise<void> {
    return this.#daemon.kill();
  }

  signal(signal: Deno.Signal): void {
    this.#daemon.signal(signal);
  }

  async stop(): Promise<void> {
    assert.equal(await this.#daemon.stop(), 0, this.log);
  }

  /** Starts it again, with more flags where there are any. */
  async restart(...more: readonly string[]): Promise<void> {
    const listen = this.#flags.includes("--listen") ? [] : ["--listen", this.address];
    this.#daemon = await DaemonProcess.start([...this.#flags, ...listen, ...more]);
  }

  logged(pattern: RegExp): Promise<void> {
    return this.#daemon.logged(pattern);
  }

  /** The texts of a log; null for what is deleted. */
  async texts(topic: string, origin: Device | NodeId = this, archive = ""): Promise<(string | null)[]> {
    const texts: (string | null)[] = [];
    const node = origin instanceof Device ? origin.node : origin;
    for await (const message of this.client.fetch(topic, { origin: node, archive })) {
      assert.equal(message.headId, texts.length + 1, "heads have no gap");
      texts.push(message.deleted ? null : message.text());
    }
    return texts;
  }

  async head(topic: string, origin: Device | NodeId = this): Promise<number> {
    return await this.client.head(topic, { origin: origin instanceof Device ? origin.node : origin }) ?? 0;
  }

  /** Waits until it has a head of a log. */
  async reaches(head: number, topic: string, origin: Device): Promise<void> {
    await eventually(
      async () => await this.head(topic, origin) >= head,
      () => `${this.name} has ${head} of ${topic}: ${this.log}`,
    );
  }

  /** Waits until it has everything that the others have, and they what it has. */
  async isLike(topic: string, origin: Device): Promise<void> {
    await this.reaches(await origin.head(topic), topic, origin);
    assert.deepEqual(await this.texts(topic, origin), await origin.texts(topic));
  }

  /** What is known of its only peer, which it begins to follow as soon as it is ready. */
  async peer(): Promise<PeerState> {
    for (;;) {
      const [peer] = await this.client.peers();
      if (peer !== undefined) return peer;
    }
  }

  async state(topic: string, origin: Device): Promise<PeerSyncState | undefined> {
    const states = await this.client.syncStates();
    return states.find((state) => state.topic === topic && state.origin.deviceId === origin.name);
  }

  /** Waits until a log is forked. */
  async forks(topic: string, origin: Device): Promise<PeerSyncState> {
    await eventually(
      async () => (await this.state(topic, origin))?.fork === "open",
      () => `${topic} is forked at ${this.name}: ${this.log}`,
    );
    return await this.state(topic, origin) ?? assert.fail("the state is gone");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    await this.#daemon[Symbol.asyncDispose]();
  }
}

/** Milliseconds after which what was waited for counts as missing: machines can be slow, and nothing here waits for it. */
const PATIENCE_MS = 40_000;

/** Waits until something is so; `what` describes what was waited for. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  what: () => string,
): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!await condition()) {
    if (performance.now() > deadline) assert.fail(`it did not happen: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
