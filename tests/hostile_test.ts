/**
 * Peers that attack a real daemon, each by the number of the published table, while an honest client goes on. That the
 * rates are rates, and when a paused reader is closed, is shown by the clock in grpc/http2/connection_test.ts and
 * grpc/server_session_test.ts; how long the honest client waits is a row of `deno task bench hostile`.
 */
import assert from "node:assert/strict";
import { connect } from "@msgbus/sdk";
import { residentBytes } from "../bench/resident.ts";
import { ErrorCode } from "../grpc/http2/error_code.ts";
import { DaemonProcess, TempFolder } from "./daemon_process.ts";
import { Bystander } from "./hostile/bystander.ts";
import { flood, FLOODS, STORED_TOPIC } from "./hostile/flood.ts";
import { SIEGES } from "./hostile/siege.ts";

const MAX_GROWTH_BYTES = 30e6;
/** Rounds of an attack in which the daemon may show that it stays below. */
const MAX_ROUNDS = 5;
/** Far more than any publish takes on a machine that is busy with other tests, far less than for ever. */
const MAX_STALL_MS = 5_000;
const MAX_LOG_BYTES = 10_000;
const STORED_MESSAGES = 1_000;
/** Those who store them, on a connection each. */
const CLIENTS = 20;

/** Uses a daemon as honest clients do: the heap of a runtime that has just started grows to its working size in any case. */
async function warmUp(address: string): Promise<void> {
  const payload = new Uint8Array(1_000);
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    await using client = connect(address);
    for (let stored = 0; stored < STORED_MESSAGES; stored += CLIENTS) {
      await client.publish(STORED_TOPIC, payload);
    }
    for await (const _ of client.fetch(STORED_TOPIC));
  }));
}

/** Holds a siege until a client that comes new was served. */
async function hold(address: string, name: string): Promise<void> {
  const attackers = await SIEGES[name]?.(address) ?? [];
  try {
    await using newcomer = connect(address);
    await newcomer.publish("newcomer", "hello");
    const from = newcomer.subscribe("newcomer");
    assert.equal((await from.next()).value?.text(), "hello");
  } finally {
    for (const attacker of attackers) attacker.close();
  }
}

/**
 * Attacks until the daemon has stayed within the bound for a round, all rounds counted from where it was before the
 * first: what an attack pins is there in every round, what leaks grows with them, and only what the collector has not
 * come to yet is there in one round and not in another.
 */
async function requireSmallGrowth(pid: number, attack: () => Promise<void>): Promise<void> {
  const before = residentBytes(pid);
  const grown: number[] = [];
  while (grown.length < MAX_ROUNDS) {
    const growth = await mostResident(pid, attack) - before;
    if (growth <= MAX_GROWTH_BYTES) return;
    grown.push(growth);
  }
  assert.fail(`the daemon grew by ${grown.join(", ")} bytes`);
}

/** The most that the daemon has resident while something is done to it. */
async function mostResident(pid: number, work: () => Promise<void>): Promise<number> {
  let most = 0;
  const watch = setInterval(() => most = Math.max(most, residentBytes(pid)), 20);
  try {
    await work();
  } finally {
    clearInterval(watch);
  }
  return Math.max(most, residentBytes(pid));
}

/** Attacks a daemon of its own, which an honest client uses meanwhile: what one attack leaves behind must not hide what the next one takes. */
async function survive(attack: (address: string) => Promise<void>): Promise<void> {
  await using folder = await TempFolder.make();
  await using daemon = await DaemonProcess.start(["--data", `${folder.path}/hostile.sqlite`]);
  const { address, pid } = daemon;
  await warmUp(address);
  await using bystander = Bystander.start(address);
  await requireSmallGrowth(pid, () => attack(address));
  const { published, followed } = await bystander.finish();
  assert.ok(published > 0);
  assert.equal(followed, published, "the honest client lost nothing");
  const longest = bystander.takeLatencies().at(-1) ?? Infinity;
  assert.ok(longest < MAX_STALL_MS, `a publish took ${longest} ms`);
  assert.ok(daemon.log.length < MAX_LOG_BYTES, `the log has ${daemon.log.length} bytes`);
  assert.equal(await daemon.stop(), 0);
}

Deno.test("hostile peers are closed for calm, and cost the daemon and its other clients next to nothing", async (t) => {
  for (const [name, attack] of Object.entries(FLOODS)) {
    await t.step(name, () =>
      survive(async (address) => {
        const { ends } = await flood(address, attack);
        // Whoever does not read may miss what it was told last.
        if (attack.reads === false) ends.delete("closed");
        else assert.ok(ends.has(ErrorCode.ENHANCE_YOUR_CALM));
        ends.delete(ErrorCode.ENHANCE_YOUR_CALM);
        assert.deepEqual([...ends], []);
      }));
  }
  for (const name of Object.keys(SIEGES)) {
    await t.step(name, () => survive((address) => hold(address, name)));
  }
});
