/** Daemons that are parted, that follow one who reads nothing, that have nothing to say, or whose clocks are wrong. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { connectTcp } from "@msgbus/grpc";
import { SyncFollowSchema, SyncHelloSchema } from "@msgbus/proto/sync";
import { residentBytes } from "../bench/resident.ts";
import { TestCaller } from "../daemon/sync/test_caller.ts";
import { TempFolder } from "./daemon_process.ts";
import { BadLink } from "./peers/bad_link.ts";
import { Device, eventually } from "./peers/device.ts";
import { FakeClock } from "./peers/fake_clock.ts";

/** What a device has of all logs: a hash of the messages of each. Fails where a log has a gap, or an id comes twice. */
async function logsOf(device: Device): Promise<ReadonlyMap<string, string>> {
  const hashes = new Map<string, string>();
  const ids = new Set<string>();
  for (const { topic, origin, headId } of await device.client.heads()) {
    const hash = createHash("sha256");
    let next = 1;
    for await (const message of device.client.fetch(topic, { origin })) {
      assert.equal(message.headId, next++, `${device.name} has a gap in ${topic} of ${origin.deviceId}`);
      assert.ok(!ids.has(message.id), `${device.name} has ${message.id} twice`);
      ids.add(message.id);
      const { id, createdAtMs, headers, deleted } = message;
      hash.update(JSON.stringify([id, createdAtMs, headers, deleted])).update(message.payload);
    }
    assert.equal(next - 1, headId);
    hashes.set(`${origin.deviceId} ${topic}`, `${headId} ${hash.digest("hex")}`);
  }
  return hashes;
}

Deno.test("nodes that write on both sides of a partition have equal logs when it is healed: no gap, nothing twice", async () => {
  await using folder = await TempFolder.make();
  await using b = await Device.start(folder, "b");
  await using toB = await BadLink.to(b.address);
  await using a = await Device.follow(folder, "a", [toB.address]);
  await using toA = await BadLink.to(a.address);
  await using c = await Device.follow(folder, "c", [b]);
  await b.stop();
  await b.restart("--peer", toA.address, "--peer", c.address);
  const devices = [a, b, c];
  const topics = ["t", "u", "v"];
  let written = 0;
  const write = async (count: number) => {
    const texts = Array.from({ length: count }, (_, at) => `${written + at}`);
    written += count;
    await Promise.all(
      devices.flatMap(({ client }) =>
        topics.flatMap((topic) => texts.map((text) => client.publish(topic, text, { headers: { text } })))
      ),
    );
  };
  const areEqual = async () => {
    for (const device of devices) {
      for (const topic of topics) for (const origin of devices) await device.reaches(written, topic, origin);
    }
    const [first, ...others] = await Promise.all(devices.map(logsOf));
    assert.equal(first?.size, topics.length * devices.length);
    for (const other of others) {
      assert.deepEqual(new Map([...other].sort()), new Map([...first ?? []].sort()));
    }
  };
  await write(50);
  await areEqual();
  for (let partition = 0; partition < 3; partition++) {
    // Both ways at once, and once only one of them; in the middle of the writing.
    const writing = write(100);
    toA.cut();
    if (partition !== 1) toB.cut();
    await writing;
    await eventually(
      async () => (await b.client.peers()).some(({ mode }) => mode === "none"),
      () => `the partition is seen: ${b.log}`,
    );
    await write(100);
    if (partition === 2) {
      await a.kill();
      await a.restart();
      await write(50);
    }
    assert.ok(await b.head("t", a) < written, "nothing passes");
    toA.heal();
    toB.heal();
    await areEqual();
  }
});

Deno.test("a peer that follows 64 logs and reads nothing costs bounded memory, and another is served meanwhile", async () => {
  if (Deno.build.os !== "linux") return console.log("skipped: reads /proc");
  await using folder = await TempFolder.make();
  await using a = await Device.start(folder, "a");
  const [logs, messages, bytes] = [64, 5, 500_000];
  const payload = new Uint8Array(bytes);
  for (let message = 0; message < messages; message++) {
    await Promise.all(Array.from({ length: logs }, (_, log) => a.client.publish(`large ${log}`, payload)));
  }
  await a.stop();
  await a.restart(); // what was published is in memory no more
  await using b = await Device.follow(folder, "b", [a], "--sync-topics", "small");
  await a.client.publish("small", "0");
  await b.reaches(1, "small", a);
  const before = residentBytes(a.pid);
  const [hostname = "", port] = a.address.split(":");
  await using caller = new TestCaller(connectTcp({ hostname, port: Number(port) }));
  caller.say({ case: "hello", value: create(SyncHelloSchema) });
  await caller.messages();
  for (let log = 0; log < logs; log++) {
    caller.say({ case: "follow", value: create(SyncFollowSchema, { log: BigInt(log), fromHeadId: 1n }) });
  }
  let peak = before;
  for (let step = 2; step <= 60; step++) {
    await a.client.publish("small", `${step}`);
    await b.reaches(step, "small", a);
    await new Promise((resolve) => setTimeout(resolve, 30));
    peak = Math.max(peak, residentBytes(a.pid));
  }
  const grown = (peak - before) / 1e6;
  assert.ok(
    grown < 80,
    `${grown} MB more are resident, of ${logs * messages * bytes / 1e6} MB that were asked for`,
  );
});

Deno.test("peers that have nothing to say to each other exchange less than 100 bytes a second", async () => {
  await using folder = await TempFolder.make();
  await using a = await Device.start(folder, "a");
  await using link = await BadLink.to(a.address);
  await using b = await Device.follow(folder, "b", [link.address]);
  await Promise.all(Array.from({ length: 300 }, (_, log) => a.client.publish(`topic ${log}`, "x")));
  await Promise.all(Array.from({ length: 300 }, (_, log) => b.reaches(1, `topic ${log}`, a)));
  let settled = link.passed;
  await eventually(async () => {
    const before = settled;
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    return (settled = link.passed) - before < 100;
  }, () => "it has told everything");
  const seconds = 6;
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  const exchanged = link.passed - settled;
  assert.ok(exchanged > 0, "each is asked now and then whether it is there");
  assert.ok(exchanged < seconds * 100, `${exchanged} bytes in ${seconds} s`);
  assert.equal((await b.peer()).mode, "stream");
});

Deno.test("daemons whose clocks are an hour off, and stepped meanwhile, copy everything in order", async () => {
  await using folder = await TempFolder.make();
  const clock = await FakeClock.make(folder, "a", "+1h");
  if (clock === undefined) return;
  await using a = await Device.startWithin(clock.within, folder, "a");
  await using b = await Device.follow(folder, "b", [a]);
  const queue = b.client.fifo("q");
  const expected: string[] = [];
  const times: number[] = [];
  for (const offset of ["+1h", "-1h", "+2h", "-2h"]) {
    await clock.step(offset);
    for (let i = 0; i < 20; i++) {
      const text = `${offset} ${i}`;
      expected.push(text);
      times.push((await a.client.publish("t", text)).createdAtMs);
      await a.client.fifo("q").enqueue(text, { target: b.node });
    }
    await b.reaches(expected.length, "t", a);
  }
  const off = times.map((time) => Math.round((time - Date.now()) / 3_600_000));
  assert.deepEqual([off[0], off[20], off[40], off[60]], [1, -1, 2, -2], "the clock was stepped");
  assert.deepEqual(await b.texts("t", a), expected);
  const taken: string[] = [];
  await eventually(async () => {
    const message = await queue.peek();
    if (message !== undefined && await queue.ack(message)) taken.push(message.text());
    return taken.length === expected.length;
  }, () => `the queue arrives: ${taken.length}`);
  assert.deepEqual(taken, expected);
  assert.equal((await b.peer()).consecutiveFailures, 0);
});
