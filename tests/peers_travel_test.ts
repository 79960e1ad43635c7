/** What goes past others: deletions to who was away, and queue messages to who is not connected. */
import assert from "node:assert/strict";
import { TempFolder } from "./daemon_process.ts";
import { contains } from "./peers/data_files.ts";
import { Device, eventually } from "./peers/device.ts";

Deno.test("what is deleted while some are away is gone from every device when they are back, and from their files", async () => {
  await using folder = await TempFolder.make();
  await using a = await Device.start(folder, "a");
  await using b = await Device.follow(folder, "b", [a]);
  await using c = await Device.follow(folder, "c", [b]);
  const devices = [a, b, c];
  const secret = (number: number) => `secret-${number}-of-the-test`;
  await a.client.publish("t", secret(1), { headers: { secret: secret(2) } });
  await a.client.publish("t", "kept");
  await c.isLike("t", a);
  await c.stop();
  await a.client.publish("t", secret(3));
  await b.isLike("t", a);
  await b.stop();
  assert.equal(await contains(b.data, secret(3)), true, "the search finds what is there");
  assert.equal(await a.client.deleteRange("t", { from: 1, to: 1 }), 1);
  assert.equal(await a.client.deleteRange("t", { from: 3, to: 3 }), 1);
  await Promise.all([b.restart(), c.restart()]);
  for (const device of [b, c]) {
    await device.reaches(2, "$msgbus.delete", a);
    await device.reaches(3, "t", a);
    await eventually(
      async () => (await device.texts("t", a)).at(-1) === null,
      () => `it is deleted at ${device.name}`,
    );
    assert.deepEqual(await device.texts("t", a), [null, "kept", null]);
  }
  for (const device of devices) await device.stop();
  for (const { data, name } of devices) {
    assert.equal(await contains(data, "kept"), true);
    for (const number of [1, 2, 3]) assert.equal(await contains(data, secret(number)), false, name);
  }
});

Deno.test("queue messages reach a device past another, once and in order, over kill -9 of each, and leave no trace", async () => {
  await using folder = await TempFolder.make();
  await using b = await Device.start(folder, "b");
  await using a = await Device.follow(folder, "a", [b]);
  await using c = await Device.follow(folder, "c", [b]);
  await b.stop();
  await b.restart("--peer", a.address, "--peer", c.address);
  const job = (number: number) => `job-${number}-of-the-test`;
  const enqueue = async (from: number, to: number) => {
    for (let number = from; number <= to; number++) {
      await a.client.fifo("jobs").enqueue(job(number), { target: c.node, headers: { number: `${number}` } });
    }
  };
  const queue = c.client.fifo("jobs");
  const taken: string[] = [];
  const takeAll = async (count: number) => {
    await eventually(async () => {
      const message = await queue.peek();
      if (message !== undefined && await queue.ack(message)) {
        assert.deepEqual([message.source, message.target, message.topic], [a.node, c.node, "jobs"]);
        assert.equal(message.sequence, taken.length + 1);
        taken.push(message.text());
      }
      return taken.length >= count;
    }, () => `${count} were taken: ${taken}`);
  };
  await enqueue(1, 10);
  assert.equal(await a.client.fifo("jobs").peek(), undefined, "they are for another node");
  await takeAll(5);
  await c.kill();
  await enqueue(11, 20);
  await a.kill();
  await c.restart();
  await a.restart();
  await enqueue(21, 30);
  await b.kill();
  await takeAll(10);
  await enqueue(31, 40);
  await b.restart("--peer", a.address, "--peer", c.address);
  await takeAll(40);
  assert.deepEqual(taken, Array.from({ length: 40 }, (_, at) => job(at + 1)));
  const topic = "$msgbus.fifo.tenant/default/c";
  for (const device of [a, b, c]) {
    await eventually(
      async () => (await device.texts(topic, a)).every((text) => text === null),
      () => `the messages are deleted at ${device.name}`,
    );
  }
  assert.equal(await queue.peek(), undefined);
  for (const device of [a, b, c]) await device.stop();
  for (const { data, name } of [a, b, c]) {
    for (const number of [1, 15, 40]) assert.equal(await contains(data, job(number)), false, name);
  }
});
