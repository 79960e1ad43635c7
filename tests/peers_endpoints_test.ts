/** Daemons as processes copy from each other: over every kind of endpoint, past others, only what is wanted. */
import assert from "node:assert/strict";
import { runMsgbusd, TempFolder } from "./daemon_process.ts";
import { Certificates } from "./peers/certificates.ts";
import { Device } from "./peers/device.ts";

const KINDS = ["http://127.0.0.1:0", "unix:", "https://127.0.0.1:0", "ws://127.0.0.1:0", "wss://127.0.0.1:0"];

Deno.test("a peer is copied live over TCP, TLS with client certificates, unix sockets, WebSocket and QUIC", async (t) => {
  await using folder = await TempFolder.make();
  const { serve, demand, trust, pin, show } = await Certificates.make(folder);
  const listen = KINDS.map((kind) => kind === "unix:" ? `unix:${folder.path}/a.sock` : kind);
  const flags = listen.flatMap((address) => ["--listen", address]);
  await using a = await Device.start(folder, "a", ...flags, ...serve, ...demand);
  // QUIC can't ask for client certificates.
  await using quic = await Device.start(
    folder,
    "quic",
    ...["http://127.0.0.1:0", "quic://127.0.0.1:0"].flatMap((address) => ["--listen", address]),
    ...serve,
  );
  const [, quicAddress = ""] = quic.addresses;
  const origins = [...a.addresses.map((address) => ({ address, origin: a })), {
    address: quicAddress,
    origin: quic,
  }];
  for (const [index, { address, origin }] of origins.entries()) {
    await t.step(address.replace(/\d+$/, "").replace(folder.path, ""), async () => {
      const topic = `topic ${index}`;
      await origin.client.publish(topic, "before");
      const secure = /^(https|wss):/.test(address) ? [...trust, ...show] : address === quicAddress ? pin : [];
      const peer = `${address}=tenant/default/${origin.name}`;
      await using b = await Device.follow(folder, `b${index}`, [peer], ...secure);
      const following = b.client.subscribe(topic, { origin: origin.node });
      assert.equal((await following.next()).value?.text(), "before");
      const large = "x".repeat(300_000);
      await origin.client.publish(topic, large, { headers: { a: "b" } });
      const { value } = await following.next();
      assert.deepEqual([value?.text(), value?.headers["a"], value?.headId], [large, "b", 2]);
      await following.close();
      const { mode, node, messagesBehind, lastError } = await b.peer();
      assert.deepEqual([mode, node, messagesBehind, lastError], ["stream", origin.node, 0, ""]);
      assert.match(b.log, /"level":"INFO".*following tenant\/default\/\w+ \(stream\)/);
    });
  }
});

Deno.test("a node passes on what it has copied, both ways, and every device ends up with the same logs", async () => {
  await using folder = await TempFolder.make();
  await using a = await Device.start(folder, "a");
  await using b = await Device.follow(folder, "b", [a]);
  await using c = await Device.follow(folder, "c", [b]);
  await a.stop();
  await a.restart("--peer", b.address);
  await b.stop();
  await b.restart("--peer", c.address);
  const devices = [a, b, c];
  for (const device of devices) {
    for (let i = 1; i <= 50; i++) await device.client.publish("t", `${device.name} ${i}`);
  }
  for (const device of devices) for (const origin of devices) await device.isLike("t", origin);
  await a.kill();
  await c.isLike("t", c);
  assert.equal((await c.texts("t", a)).length, 50, "a's log can be read while a is away");
  await a.restart("--peer", b.address);
  await a.client.publish("t", "back");
  await c.reaches(51, "t", a);
});

Deno.test("--sync-topics says what is copied, for all peers and for one, and deletions come along", async () => {
  await using folder = await TempFolder.make();
  await using a = await Device.start(folder, "a");
  await using other = await Device.start(folder, "other");
  for (const device of [a, other]) {
    for (const topic of ["s.a", "s.raw.a", "mail"]) await device.client.publish(topic, topic);
  }
  await using b = await Device.follow(
    folder,
    "b",
    [a, other],
    ...["s.>", "!s.raw.>", `${other.address}=mail`].flatMap((pattern) => ["--sync-topics", pattern]),
  );
  await b.reaches(1, "mail", other);
  await b.reaches(1, "s.a", a);
  await a.client.deleteRange("s.a", { from: 1, to: 1 });
  await b.reaches(1, "$msgbus.delete", a);
  assert.deepEqual(await b.texts("s.a", a), [null]);
  const heads = await b.client.heads();
  assert.deepEqual(heads.map(({ topic, origin }) => `${origin.deviceId} ${topic}`).sort(), [
    "a $msgbus.delete",
    "a s.a",
    "other mail",
    "other s.a",
  ]);
});

Deno.test("the two devices of the README work as it says", async () => {
  await using folder = await TempFolder.make();
  await using kitchen = await Device.start(folder, "kitchen");
  await using office = await Device.follow(folder, "office", [`${kitchen.address}=tenant/default/kitchen`]);
  const run = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await runMsgbusd(args);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  await run("pub", "temperature", "21.5", "--connect", kitchen.address);
  const origin = ["--origin", "tenant/default/kitchen", "--connect", office.address];
  assert.match(await run("sub", "temperature", "--count", "1", ...origin), /^#1 .* 21\.5\n$/);
  await kitchen.kill();
  assert.match(await run("fetch", "temperature", ...origin), /^#1 .* 21\.5\n$/);
  await kitchen.restart();
  await run("pub", "temperature", "22", "--connect", kitchen.address);
  assert.match(await run("sub", "temperature", "--count", "2", ...origin), /^#1 .* 21\.5\n#2 .* 22\n$/);
  const sync = await run("sync", "--connect", office.address);
  assert.match(sync, /kitchen +stream/);
  assert.match(sync, /temperature +tenant\/default\/kitchen +2 +2 +0/);
});
