/** A device that lost its data, or went back to a backup: nothing is overwritten, and people decide. */
import assert from "node:assert/strict";
import { runMsgbusd, TempFolder } from "./daemon_process.ts";
import { copyData, wipe } from "./peers/data_files.ts";
import { Device, eventually } from "./peers/device.ts";

async function publish(device: Device, topic: string, ...texts: readonly string[]): Promise<void> {
  for (const text of texts) await device.client.publish(topic, text);
}

/** Decides about the forked logs of an origin, as people do. Gives what is printed. */
async function resolve(
  decision: "adopt" | "refuse",
  at: Device,
  peer: Device,
  origin: Device,
): Promise<string> {
  const node = `tenant/default/${origin.name}`;
  const flags = ["--peer", peer.address, "--origin", node, "--connect", at.address];
  const { code, stdout, stderr } = await runMsgbusd(["sync", "resolve", decision, ...flags]);
  assert.equal(code, 0, stderr);
  return stdout;
}

Deno.test("an origin whose disk was wiped forks its log: the copy stays, all else goes on, adopt takes the new one", async () => {
  await using folder = await TempFolder.make();
  await using a = await Device.start(folder, "a");
  await publish(a, "t", "old 1", "old 2", "old 3");
  await publish(a, "other", "old");
  await using b = await Device.follow(folder, "b", [`${a.address}=tenant/default/a`]);
  await b.isLike("t", a);
  await b.isLike("other", a);
  await a.stop();
  await wipe(a.data);
  await a.restart();
  // One log is shorter than its copy, and one is longer.
  await publish(a, "t", "new 1", "new 2");
  await publish(a, "other", "new 1", "new 2");
  await publish(a, "v", "new");
  await b.forks("other", a);
  const state = await b.forks("t", a);
  assert.notEqual(state.localIncarnation, state.remoteIncarnation);
  assert.equal(b.log.split("\n").filter((line) => line.includes("is forked")).length, 2, b.log);
  await b.isLike("v", a);
  await publish(a, "t", "new 3", "new 4", "new 5");
  await publish(a, "v", "newer");
  await b.isLike("v", a);
  assert.deepEqual(await b.texts("t", a), ["old 1", "old 2", "old 3"]);
  assert.deepEqual(await b.texts("other", a), ["old"]);
  const follower = b.client.subscribe("v", { origin: a.node, from: 3 });

  const printed = await resolve("adopt", b, a, a);
  const archive = /fetch t .*--archive (\S+)$/m.exec(printed)?.[1] ?? assert.fail(printed);
  await b.isLike("t", a);
  await b.isLike("other", a);
  const fetch = ["fetch", "t", "--origin", "tenant/default/a", "--archive", archive, "--connect", b.address];
  assert.match((await runMsgbusd(fetch)).stdout, /^#1 .*old 1\n#2 .*old 2\n#3 .*old 3\n$/);
  await publish(a, "t", "new 6");
  await b.isLike("t", a);
  await publish(a, "v", "newest");
  assert.equal((await follower.next()).value?.text(), "newest");
  await follower.close();
  assert.equal((await b.state("t", a))?.fork, "none");

  await b.kill();
  await b.restart();
  assert.deepEqual(await b.texts("t", a, archive), ["old 1", "old 2", "old 3"]);
  await publish(a, "t", "new 7");
  await b.isLike("t", a);
});

/** Two that follow each other, until the stack ends, of which one went back to a backup after more was copied. */
async function restored(until: AsyncDisposableStack): Promise<readonly [Device, Device]> {
  const folder = until.use(await TempFolder.make());
  const a = until.use(await Device.start(folder, "a"));
  const b = until.use(await Device.follow(folder, "b", [a]));
  await publish(a, "t", "1", "2", "3");
  await a.stop();
  await copyData(a.data, `${folder.path}/backup`);
  await a.restart("--peer", b.address);
  await publish(a, "t", "4", "5");
  await b.isLike("t", a);
  await a.stop();
  await copyData(`${folder.path}/backup`, a.data);
  await a.restart("--peer", b.address);
  await Promise.all([a.forks("t", a), b.forks("t", a)]);
  assert.deepEqual(await a.texts("t"), ["1", "2", "3"]);
  assert.deepEqual(await b.texts("t", a), ["1", "2", "3", "4", "5"]);
  return [a, b];
}

Deno.test("an origin that was restored from a backup is told at both, and can take its newer log back from its copy", async () => {
  await using until = new AsyncDisposableStack();
  const [a, b] = await restored(until);
  assert.match((await a.state("t", a))?.lastError ?? "", /was an older copy of the data restored/);
  assert.match((await b.state("t", a))?.lastError ?? "", /was an older copy of its data restored/);
  assert.match(await resolve("adopt", a, b, a), /nothing was set aside/);
  await eventually(async () => await a.head("t") === 5, () => `a has its messages back: ${a.log}`);
  assert.match(await resolve("adopt", b, a, a), /nothing was set aside/);
  await publish(a, "t", "6");
  await b.isLike("t", a);
  assert.deepEqual(await b.texts("t", a), ["1", "2", "3", "4", "5", "6"]);
});

Deno.test("the log of a restored origin that went on is refused or adopted, and refusing can be taken back", async () => {
  await using until = new AsyncDisposableStack();
  const [a, b] = await restored(until);
  await publish(a, "t", "other 4", "other 5", "other 6");
  await publish(a, "u", "u1");
  await b.isLike("u", a);
  await resolve("refuse", b, a, a);
  await resolve("refuse", a, b, a);
  await b.kill();
  await b.restart();
  await publish(a, "t", "other 7");
  await publish(a, "u", "u2");
  await b.isLike("u", a);
  assert.equal((await b.state("t", a))?.fork, "refused");
  assert.deepEqual(await b.texts("t", a), ["1", "2", "3", "4", "5"]);
  const printed = await resolve("adopt", b, a, a);
  const archive = /--archive (\S+)$/m.exec(printed)?.[1] ?? assert.fail(printed);
  await b.isLike("t", a);
  assert.deepEqual(await b.texts("t", a, archive), ["1", "2", "3", "4", "5"]);
  assert.deepEqual(await a.texts("t"), ["1", "2", "3", "other 4", "other 5", "other 6", "other 7"]);
});

Deno.test("a consumer's cursor of a place behind a restored backup is refused, also where the same message came there again", async () => {
  await using folder = await TempFolder.make();
  await using b = await Device.start(folder, "b");
  await publish(b, "from-b", "the same");
  await using a = await Device.start(folder, "a");
  await publish(a, "t", "before");
  const { cursor: before } = await consumed(a, 1);
  await a.stop();
  await copyData(a.data, `${folder.path}/backup`);
  const follows = ["--peer", b.address];

  await a.restart();
  await publish(a, "t", "lost");
  await a.stop();
  await a.restart(...follows);
  await a.reaches(1, "from-b", b);
  const { texts, cursor } = await consumed(a, 3);
  assert.deepEqual(texts, ["before", "lost", "the same"]);
  await a.stop();

  await copyData(`${folder.path}/backup`, a.data);
  await a.restart();
  await publish(a, "t", "missed");
  await a.stop();
  await a.restart(...follows);
  await a.reaches(1, "from-b", b);
  assert.deepEqual((await consumed(a, 3)).texts, ["before", "missed", "the same"]);
  await assert.rejects(consumed(a, 1, { cursor }), {
    code: "FAILED_PRECONDITION",
    message: /restored backup/,
  });
  assert.deepEqual((await consumed(a, 2, { cursor: before })).texts, ["missed", "the same"]);
});

/** The first messages of all topics from a place on, and where consuming them ended. */
async function consumed(
  device: Device,
  count: number,
  from?: { readonly cursor: string },
): Promise<{ texts: string[]; cursor: string }> {
  const texts: string[] = [];
  const stream = device.client.consume(["t", "from-b"], { follow: false, ...from && { from } });
  while (texts.length < count) {
    const batch = await stream.nextBatch() ?? assert.fail("it ended");
    texts.push(...batch.map((message) => message.text()));
  }
  const { cursor } = stream;
  stream.close();
  return { texts, cursor };
}
