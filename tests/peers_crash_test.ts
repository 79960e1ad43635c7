/** A copy is right whatever happens to who makes it: killed between batches, out of disk. */
import assert from "node:assert/strict";
import { connect } from "@msgbus/sdk";
import { DaemonProcess, TempFolder } from "./daemon_process.ts";
import { BadLink } from "./peers/bad_link.ts";
import { Device, eventually } from "./peers/device.ts";
import { SmallDisk } from "./peers/small_disk.ts";

/** Of each of two receivers, at the same time. */
const KILLS = 50;
const TOPICS = 200;
const MESSAGES_PER_TOPIC = 100;
/** What telling of all logs takes, and one batch more: some batches pass beside it, and the last one in part. */
const NEWS_BYTES = 60_000;
const BATCH_BYTES = 24_000;

Deno.test("kill -9 of the receiver, 100 times while 20,000 messages are copied: no gap, nothing twice, nothing missing", async () => {
  await using folder = await TempFolder.make();
  await using a = await Device.start(folder, "a");
  const filler = "x".repeat(150);
  for (let topic = 0; topic < TOPICS; topic++) {
    const texts = Array.from({ length: MESSAGES_PER_TOPIC }, (_, at) => `${at} ${filler}`);
    await Promise.all(texts.map((text) => a.client.publish(`topic ${topic}`, text)));
  }
  await Promise.all(["b", "c"].map((name) => killOften(folder, name, a)));
});

/** Lets a receiver copy, kills it again and again meanwhile, and compares what it has at the end. */
async function killOften(folder: TempFolder, name: string, a: Device): Promise<void> {
  await using link = await BadLink.to(a.address);
  const flags = ["--device-id", name, "--data", `${folder.path}/${name}.sqlite`, "--peer", link.address];
  let reached = 0;
  let midway = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    link.allow(NEWS_BYTES + BATCH_BYTES * (kill % 7) / 2);
    await using receiver = await DaemonProcess.start(flags);
    await using client = connect(receiver.address);
    const copied = async () => (await client.heads()).reduce((sum, { headId }) => sum + headId, 0);
    const found = await copied();
    assert.ok(found >= reached, `${reached} were there before the kill, and ${found} after it`);
    // Mostly as soon as it has stored something; now and then before it had the time.
    if (kill % 5 > 0 && found < TOPICS * MESSAGES_PER_TOPIC) {
      await eventually(
        async () => (reached = await copied()) > found,
        () => `more is stored: ${receiver.log}`,
      );
    }
    await receiver.kill();
    if (reached > 0 && reached < TOPICS * MESSAGES_PER_TOPIC) midway++;
  }
  assert.ok(midway > KILLS / 2, `only ${midway} kills met a copy that was under way`);
  link.allow(Infinity);
  await using receiver = await Device.follow(folder, name, [link.address]);
  for (let topic = 0; topic < TOPICS; topic++) await receiver.isLike(`topic ${topic}`, a);
  const states = await receiver.client.syncStates();
  assert.deepEqual(states.filter(({ fork }) => fork !== "none"), []);
  assert.equal(states.length, TOPICS);
}

Deno.test("a receiver whose disk is full loses nothing, serves what it has, and goes on when there is space", async () => {
  await using disk = await SmallDisk.make(8);
  if (disk === undefined) return;
  await using folder = await TempFolder.make();
  await using a = await Device.start(folder, "a");
  const large = "x".repeat(100_000);
  for (let i = 0; i < 150; i++) await a.client.publish("t", `${i} ${large}`);
  await using b = await Device.follow(disk, "b", [a]);
  await eventually(
    async () => (await b.peer()).consecutiveFailures >= 2,
    () => `the disk is full: ${b.log}`,
  );
  assert.match((await b.peer()).lastError, /full/);
  const copied = (await b.texts("t", a)).length;
  assert.ok(copied > 0 && copied < 150, `${copied} were copied`);
  assert.equal((await a.texts("t")).length, 150);
  await disk.resize(64);
  await b.isLike("t", a);
  assert.equal((await b.client.ready()).ready, true);
});
