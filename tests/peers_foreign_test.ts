/** Peers of the first implementation's kind, and messages at the edge of what may be sent. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { TempFolder } from "./daemon_process.ts";
import { hasNode, NodeServer, runUnderNode } from "./interop/node_program.ts";
import { Device, eventually, nodeOf } from "./peers/device.ts";

Deno.test("a peer of the first implementation, which has no SyncService, is copied by polling, and so are its deletions", async () => {
  if (!await hasNode()) return;
  await using folder = await TempFolder.make();
  await using first = await NodeServer.start("first_daemon.ts", folder.path);
  const peer = `127.0.0.1:${first.port}=tenant/default/first`;
  await using b = await Device.follow(folder, "b", [peer], "--sync-interval-ms", "100");
  const origin = nodeOf("first");
  const texts = Array.from({ length: 250 }, (_, at) => `message ${at + 1}`);
  await eventually(async () => await b.head("t", origin) === 250, () => `all is copied: ${b.log}`);
  assert.deepEqual(await b.texts("t", origin), texts);
  assert.equal((await b.peer()).mode, "poll");
  await first.write("one more");
  await first.write("delete 2");
  await eventually(
    async () => await b.head("t", origin) === 251 && await b.head("$msgbus.delete", origin) === 1,
    () => `what is new is copied: ${b.log}`,
  );
  assert.deepEqual((await b.texts("t", origin)).slice(0, 3), ["message 1", null, "message 3"]);
  assert.equal((await b.texts("t", origin)).at(-1), "one more");
});

Deno.test("a topic whose name can't be taken is told in the log, and keeps no other topic", async () => {
  if (!await hasNode()) return;
  await using folder = await TempFolder.make();
  await using first = await NodeServer.start("first_daemon.ts", folder.path);
  const peer = `127.0.0.1:${first.port}=tenant/default/first`;
  await using b = await Device.follow(folder, "b", [peer], "--sync-interval-ms", "50");
  const origin = nodeOf("first");
  const isRefused = async () => {
    const states = await b.client.syncStates();
    return states.filter(({ consecutiveFailures }) => consecutiveFailures >= 2).length === 3;
  };
  await eventually(isRefused, () => `three topics are refused again and again: ${b.log}`);
  await first.write("one more");
  await eventually(async () => await b.head("t", origin) === 251, () => `the other is copied: ${b.log}`);
  const states = await b.client.syncStates();
  assert.deepEqual(states.map(({ localHead, lastError }) => [localHead, lastError !== ""]).sort(), [
    [0, true],
    [0, true],
    [0, true],
    [251, false],
  ]);
  assert.equal(
    b.log.split("\n").filter((line) => line.includes("can't be copied, all else goes on")).length,
    3,
  );
  assert.equal((await b.peer()).consecutiveFailures, 0);
  await b.stop();
  await b.restart();
  await first.write("after a restart");
  await eventually(async () => await b.head("t", origin) === 252, () => `it goes on: ${b.log}`);
});

Deno.test("a client of the first implementation's kind pulls own and copied logs from a daemon", async () => {
  if (!await hasNode()) return;
  await using folder = await TempFolder.make();
  await using a = await Device.start(folder, "a");
  await using b = await Device.follow(folder, "b", [a]);
  for (let i = 1; i <= 150; i++) await a.client.publish("t", `a ${i}`);
  await a.client.deleteRange("t", { from: 2, to: 2 });
  await b.client.publish("t", "b 1");
  await b.reaches(1, "$msgbus.delete", a);
  await b.reaches(150, "t", a);
  const printed = JSON.parse(await runUnderNode("first_puller.ts", [b.address, "152"], folder.path));
  assert.deepEqual([printed.status, printed.device], ["SERVING", "b"]);
  const { "t of a": own, "t of b": copied, "$msgbus.delete of a": markers } = printed.logs;
  assert.deepEqual(own.slice(0, 3), ["a 1", "(deleted)", "a 3"]);
  assert.deepEqual([own.length, copied, markers.length], [150, ["b 1"], 1]);
});

Deno.test("the largest messages and headers, empty ones, bytes and unusual names of topics cross the link", async () => {
  await using folder = await TempFolder.make();
  await using a = await Device.start(folder, "a");
  await using b = await Device.follow(folder, "b", [a]);
  const topics = [
    "ünïcödé/日本/🚌",
    "a/b//c",
    " with spaces ",
    "tab\tand\nline",
    "%2F..%00",
    "constructor",
    "__proto__",
    "*.>#+",
    "x".repeat(1_024),
  ];
  // What an entry takes beside its value: two tags, three lengths and the name.
  const headers = { h: "é".repeat((65_536 - 12) / 2) };
  const payloads = [
    new Uint8Array(4_177_920),
    new Uint8Array(),
    Uint8Array.from({ length: 256 }, (_, at) => at),
  ];
  for (const topic of topics) {
    await a.client.publish(topic, "x", { headers: { "ключ ": "", "": "empty name" } });
  }
  for (const payload of payloads) await a.client.publish("large", payload);
  await a.client.publish("large", new Uint8Array(4_177_920 - 65_536), { headers });
  for (let i = 0; i < 20; i++) await a.client.publish("large", new Uint8Array(1_000_000).fill(i));
  for (const topic of [...topics, "large"]) {
    await b.reaches(await a.head(topic), topic, a);
    const [there, here] = [
      a.client.fetch(topic),
      b.client.fetch(topic, { origin: a.node }),
    ];
    for await (const sent of there) {
      const { value: received } = await here.next();
      assert.deepEqual(
        [received?.id, received?.topic, received?.headId, received?.createdAtMs],
        [sent.id, topic, sent.headId, sent.createdAtMs],
      );
      assert.deepEqual({ ...received?.headers }, { ...sent.headers });
      assert.equal(Buffer.compare(received?.payload ?? new Uint8Array(1), sent.payload), 0);
    }
    assert.equal((await here.next()).done, true);
  }
});
