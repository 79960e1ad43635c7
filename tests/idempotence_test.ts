/** What is sent again is stored once, whenever the daemon dies. */
import assert from "node:assert/strict";
import { type Client, connect } from "@msgbus/sdk";
import { DaemonProcess, TempFolder } from "./daemon_process.ts";
import { Random } from "./simulation/random.ts";

const IN_FLIGHT = 5_000;
const KILLS = 5;
const PATIENT = { waitForReady: true, timeoutMs: 120_000, backoff: { initialMs: 10, maxMs: 100 } };

async function stored(client: Client, topic: string): Promise<{ headId: number; text: string }[]> {
  const all = [];
  for await (const message of client.fetch(topic)) all.push({ headId: message.headId, text: message.text() });
  return all;
}

/** A daemon that begins anew at the same address whenever it is killed. */
class MortalDaemon implements AsyncDisposable {
  #process: DaemonProcess;
  readonly #flags: readonly string[];

  private constructor(process: DaemonProcess, flags: readonly string[]) {
    this.#process = process;
    this.#flags = flags;
  }

  static async start(folder: TempFolder): Promise<MortalDaemon> {
    const flags = ["--data", `${folder.path}/bus.sqlite`];
    return new MortalDaemon(await DaemonProcess.start(flags), flags);
  }

  get address(): string {
    return this.#process.address;
  }

  async killAndRestart(): Promise<void> {
    const { address } = this;
    await this.#process.kill();
    this.#process = await DaemonProcess.start([...this.#flags, "--listen", address]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}

Deno.test("5,000 publishes in flight are stored once each and in order, though the daemon is killed 5 times", async () => {
  const seed = Deno.env.get("SEED") ?? String(crypto.getRandomValues(new Uint32Array(1))[0]);
  console.log(`SEED=${seed}`);
  const random = new Random(Number(seed));
  await using folder = await TempFolder.make();
  await using daemon = await MortalDaemon.start(folder);
  await using client = connect(daemon.address, PATIENT);
  let next = 0;
  let acknowledged = 0;
  let over = false;
  const publisher = async () => {
    while (!over) {
      const counter = next++;
      const { headId, deleted } = await client.publish("once", String(counter));
      assert.deepEqual([headId, deleted], [counter + 1, false]);
      acknowledged++;
    }
  };
  const publishers = Promise.all(Array.from({ length: IN_FLIGHT }, publisher));
  publishers.catch(() => {}); // awaited below
  for (let kill = 0; kill < KILLS; kill++) {
    const before = acknowledged;
    while (acknowledged === before) await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setTimeout(resolve, random.below(200)));
    await daemon.killAndRestart();
  }
  over = true;
  await publishers;
  const messages = await stored(client, "once");
  assert.equal(messages.length, next);
  messages.forEach(({ headId, text }, at) => assert.deepEqual([headId, text], [at + 1, String(at)]));
});

Deno.test("a publish with a key that is tried again after kill -9 is answered with the first message", async () => {
  await using folder = await TempFolder.make();
  await using daemon = await MortalDaemon.start(folder);
  const answers = new Map<string, readonly [number, string, Date]>();
  for (const key of ["a", "b", "c", "d"]) {
    await using client = connect(daemon.address, PATIENT);
    const options = { idempotencyKey: key };
    const first = client.publish("keyed", key, options);
    // The last ones die on their way, wherever that is.
    if (key < "c") await first;
    else await new Promise((resolve) => setTimeout(resolve, key === "c" ? 0 : 5));
    const [answer] = await Promise.all([first.catch(() => undefined), daemon.killAndRestart()]);
    const retry = await client.publish("keyed", key, options);
    if (answer !== undefined) {
      assert.deepEqual([retry.headId, retry.id, retry.createdAt], [
        answer.headId,
        answer.id,
        answer.createdAt,
      ]);
    }
    answers.set(key, [retry.headId, retry.id, retry.createdAt]);
  }
  await using client = connect(daemon.address, PATIENT);
  const again = await Promise.all(
    [...answers.keys()].map((key) => client.publish("keyed", key, { idempotencyKey: key })),
  );
  assert.deepEqual(again.map(({ headId, id, createdAt }) => [headId, id, createdAt]), [...answers.values()]);
  assert.deepEqual((await stored(client, "keyed")).map(({ text }) => text), ["a", "b", "c", "d"]);
  await assert.rejects(client.publish("keyed", "other", { idempotencyKey: "a" }), {
    code: "FAILED_PRECONDITION",
  });
});
