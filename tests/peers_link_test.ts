/** Links that come and go: a peer that is down, a connection that is cut, one that says nothing any more. */
import assert from "node:assert/strict";
import { TempFolder } from "./daemon_process.ts";
import { BadLink } from "./peers/bad_link.ts";
import { Device, eventually } from "./peers/device.ts";
import { FarNetwork } from "./peers/far_network.ts";

Deno.test("a peer that is down when a daemon starts is followed when it comes up, and again after each restart", async () => {
  await using folder = await TempFolder.make();
  await using a = await Device.start(folder, "a");
  await a.client.publish("t", "x");
  await a.stop();
  await using b = await Device.follow(folder, "b", [a]);
  await eventually(
    async () => (await b.peer()).consecutiveFailures >= 2,
    () => "it tries",
  );
  assert.equal((await b.client.ready()).ready, true);
  for (let round = 1; round <= 3; round++) {
    await a.restart();
    await a.client.publish("t", `round ${round}`);
    await b.isLike("t", a);
    await a.kill();
  }
  assert.equal(await b.head("t", a), 4);
});

/** Breaks a link under load, mends it, and waits until everything has come. Gives the milliseconds that this took. */
async function breaks(harm: (link: BadLink) => void, isSeen: (device: Device) => Promise<boolean>) {
  await using folder = await TempFolder.make();
  await using a = await Device.start(folder, "a");
  await using link = await BadLink.to(a.address);
  await using b = await Device.follow(folder, "b", [link.address]);
  await a.client.publish("t", "first");
  await b.reaches(1, "t", a);
  const live = b.client.subscribe("t", { origin: a.node });
  const received: number[] = [];
  const following = (async () => {
    for await (const { headId } of live) received.push(headId);
  })();
  for (let round = 0; round < 2; round++) {
    const publishing = Promise.all(
      Array.from({ length: 500 }, () => a.client.publish("t", "x".repeat(1_000))),
    );
    harm(link);
    await publishing;
    await eventually(() => isSeen(b), () => `the link is seen to be broken: ${b.log}`);
    link.heal();
    await b.isLike("t", a);
  }
  await eventually(() => received.length === 1_001, () => `${received.length} were delivered`);
  assert.deepEqual(received, Array.from({ length: 1_001 }, (_, at) => at + 1));
  await live.close();
  await following;
}

Deno.test("a link that is cut and comes back is used again: nothing is lost, nothing comes twice", async () => {
  await breaks((link) => link.cut(), async (b) => (await b.peer()).mode === "none");
});

Deno.test("a link that says nothing any more is given up, and used again when it speaks", async () => {
  await breaks((link) => link.fallSilent(), async (b) => (await b.peer()).mode === "none");
});

Deno.test("a short silence of a link costs nothing but the time", async () => {
  await using folder = await TempFolder.make();
  await using a = await Device.start(folder, "a");
  await using link = await BadLink.to(a.address);
  await using b = await Device.follow(folder, "b", [link.address]);
  await a.client.publish("t", "one");
  await b.reaches(1, "t", a);
  link.fallSilent();
  await a.client.publish("t", "two");
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(await b.head("t", a), 1);
  link.heal();
  await b.reaches(2, "t", a);
  assert.equal((await b.peer()).consecutiveFailures, 0);
});

Deno.test("a link that is cut, slowed and restored while both sides publish is used again within a second", async () => {
  await using network = await FarNetwork.make();
  await using other = network && await FarNetwork.make();
  if (network === undefined || other === undefined) return;
  await using folder = await TempFolder.make();
  const flags = (name: string, own: readonly string[], peers: readonly string[]) => [
    ...[`unix:${folder.path}/${name}.sock`, ...own].flatMap((address) => ["--listen", address]),
    ...peers.flatMap((peer) => ["--peer", peer]),
    "--insecure",
  ];
  const [atA, atC] = [network, other].map(({ hostname }) => `${hostname}:50051`);
  const [towardsA, towardsC] = [network, other].map(({ nearHostname }) => `${nearHostname}:50052`);
  if (!atA || !atC || !towardsA || !towardsC) return;
  // Each in a network of its own; the first and the last reach only the one in the middle.
  await using a = await Device.startWithin(network.within, folder, "a", ...flags("a", [atA], [towardsA]));
  await using c = await Device.startWithin(other.within, folder, "c", ...flags("c", [atC], [towardsC]));
  const ofB = flags("b", [towardsA, towardsC], [atA, atC]);
  await using b = await Device.startWithin([], folder, "b", ...ofB);
  const devices = [a, b, c];
  const ending = new AbortController();
  using _ = { [Symbol.dispose]: () => ending.abort() };
  const publishing = Promise.all(devices.map(async ({ client }) => {
    while (!ending.signal.aborted) {
      await client.publish("t", "x".repeat(200));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }));
  const ways = [[a, b], [b, a], [a, c], [c, a]] as const;
  const arrived = ways.map(() => 0);
  const live = ways.map(([from, to]) => to.client.subscribe("t", { origin: from.node }));
  const following = Promise.all(live.map(async (subscription, at) => {
    for await (const _ of subscription) arrived[at] = performance.now();
  }));
  for (const work of [publishing, following]) work.catch(() => {}); // where the test fails before it is awaited
  const isUsed = (since: number) =>
    eventually(() => arrived.every((at) => at > since), () => `all get something: ${a.log}${b.log}${c.log}`);
  await isUsed(0);
  const took: number[] = [];
  for (const seconds of [0.4, 1.7, 3.1, 4.3]) {
    await network.link("down");
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
    const begin = performance.now();
    await network.link("up");
    await isUsed(performance.now());
    took.push(Math.round(Math.max(...arrived) - begin));
  }
  // On a machine that is busy with other tests one may be late.
  assert.ok(took.filter((ms) => ms <= 1_000).length >= took.length - 1, `milliseconds: ${took}`);
  if (await network.slow("100kbit")) {
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await isUsed(performance.now());
    await network.slow("1gbit");
  }
  ending.abort();
  await publishing;
  for (const from of devices) for (const to of devices) await to.isLike("t", from);
  for (const subscription of live) await subscription.close();
  await following;
});

Deno.test("a network that goes down, loses packets or comes back is survived, with the system's own TCP", async () => {
  await using network = await FarNetwork.make();
  if (network === undefined) return;
  await using folder = await TempFolder.make();
  const listen = [`unix:${folder.path}/a.sock`, `${network.hostname}:50051`].flatMap((
    address,
  ) => ["--listen", address]);
  await using a = await Device.startWithin(network.within, folder, "a", ...listen, "--insecure");
  await using b = await Device.follow(folder, "b", [`${network.hostname}:50051=tenant/default/a`]);
  await a.client.publish("t", "first");
  await b.reaches(1, "t", a);
  const publishing = async () => {
    await Promise.all(Array.from({ length: 200 }, () => a.client.publish("t", "x".repeat(1_000))));
  };
  const isDown = async () => (await b.peer()).mode === "none";
  await network.link("down");
  await publishing();
  await eventually(isDown, () => "the link is seen to be down");
  await network.link("up");
  await b.isLike("t", a);
  if (!await network.spoil("loss", "100%")) return;
  await publishing();
  await eventually(isDown, () => "the link is seen to be silent");
  await network.spoil("delay", "20ms", "10ms", "loss", "5%", "duplicate", "2%", "reorder", "10%");
  await b.isLike("t", a);
  await publishing();
  await b.isLike("t", a);
});
