/** Tokens as their users meet them: the command line makes them, the daemon asks for them, clients send them. */
import assert from "node:assert/strict";
import { Channel, connectTcp, Status, StatusError } from "@msgbus/grpc";
import { connect, MsgbusError } from "@msgbus/sdk";
import { CertificateAuthority } from "../grpc/transport/testing/certificate_authority.ts";
import { DaemonProcess, runMsgbusd, TempFolder } from "./daemon_process.ts";

/** Makes a token with the command line. */
async function createToken(file: string, name: string, ...grants: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runMsgbusd([
    "token",
    "create",
    name,
    "--auth-file",
    file,
    ...grants,
  ]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^msgbus_[0-9a-f]{12}_[\w-]{43}\n$/);
  return stdout.trim();
}

function failsWith(code: string): (error: unknown) => boolean {
  return (error) => error instanceof MsgbusError && error.code === code;
}

Deno.test("a daemon with --auth-file lets in whoever has a token, and each does what the token allows", async () => {
  await using folder = await TempFolder.make();
  const file = `${folder.path}/tokens.json`;
  const sensor = await createToken(file, "sensor", "--publish", "sensors.>");
  const reader = await createToken(file, "reader", "--subscribe", "sensors/#", "--subscribe", "sensors.*");
  const worker = await createToken(file, "worker", "--fifo", "jobs");
  const admin = await createToken(file, "admin", "--admin", "--sync");
  assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600);
  await using daemon = await DaemonProcess.start([
    "--data",
    `${folder.path}/bus.sqlite`,
    "--auth-file",
    file,
    "--listen",
    "127.0.0.1:0",
    "--listen",
    `unix:${folder.path}/bus.sock`,
  ]);
  for (const address of daemon.addresses) {
    await using nobody = connect(address);
    await assert.rejects(nobody.publish("sensors.a", "x"), failsWith("UNAUTHENTICATED"));
    await assert.rejects(nobody.heads(), failsWith("UNAUTHENTICATED"));
    await assert.rejects(nobody.subscribe("sensors.a").nextBatch(), failsWith("UNAUTHENTICATED"));
    assert.equal((await nobody.health()).status, "SERVING");
    assert.equal((await nobody.ready()).ready, true);

    await using publisher = connect(address, { token: sensor });
    await publisher.publish("sensors.a", "21.5");
    await assert.rejects(publisher.publish("orders", "x"), failsWith("PERMISSION_DENIED"));
    await assert.rejects(publisher.subscribe("sensors.a").nextBatch(), failsWith("PERMISSION_DENIED"));
    assert.deepEqual(await publisher.heads(), []);

    await using subscriber = connect(address, { token: reader });
    const messages = await subscriber.subscribe("sensors.a").nextBatch();
    assert.equal(messages?.at(-1)?.text(), "21.5");
    await assert.rejects(subscriber.publish("sensors.a", "x"), failsWith("PERMISSION_DENIED"));

    await using consumer = connect(address, { token: worker });
    await consumer.fifo("jobs").enqueue("resize");
    await assert.rejects(consumer.fifo("other").enqueue("x"), failsWith("PERMISSION_DENIED"));

    await using owner = connect(address, { token: admin });
    assert.equal(
      await owner.deleteRange("sensors.a", { from: 1, to: 1 }),
      address === daemon.address ? 1 : 0,
    );
    await assert.rejects(owner.publish("sensors.a", "x"), failsWith("PERMISSION_DENIED"));
  }
  assert.equal(await daemon.stop(), 0, daemon.log);
  const kept = await Deno.readTextFile(file);
  for (const token of [sensor, reader, worker, admin]) {
    assert(!daemon.log.includes(token) && !kept.includes(token), "a token is kept or logged");
  }
});

Deno.test("the owner of a client certificate does what its entry allows, over TLS and WebSocket, and a stranger nothing", async () => {
  await using folder = await TempFolder.make();
  const authority = await CertificateAuthority.create();
  const put = async (name: string, text: string) => {
    await Deno.writeTextFile(`${folder.path}/${name}`, text, { mode: 0o600 });
    return `${folder.path}/${name}`;
  };
  const server = await authority.issueLocal();
  const gateway = await authority.issue({ commonName: "x", dns: ["gateway.example"] });
  const stranger = await authority.issue({ commonName: "gateway.example" });
  const allow = { publish: ["gateway.>"], subscribe: [">"], fifo: ["jobs"] };
  const entry = { name: "gateway", subjectAltName: "gateway.example", allow };
  await using daemon = await DaemonProcess.start([
    ...["--storage", "memory", "--listen", "https://127.0.0.1:0", "--listen", "wss://127.0.0.1:0"],
    ...["--tls-cert", await put("cert.pem", server.cert), "--tls-key", await put("key.pem", server.key)],
    ...["--tls-client-ca", await put("ca.pem", authority.cert)],
    ...["--auth-file", await put("tokens.json", JSON.stringify({ certificates: [entry] }))],
  ]);
  for (const address of daemon.addresses) {
    await using known = connect(address, { tls: { ca: authority.cert, ...gateway } });
    await known.publish("gateway.a", "21.5");
    assert.equal((await known.subscribe("gateway.a").nextBatch())?.at(-1)?.text(), "21.5");
    await known.fifo("jobs").enqueue("resize");
    await assert.rejects(known.publish("orders", "x"), failsWith("PERMISSION_DENIED"));
    await assert.rejects(known.fifo("other").enqueue("x"), failsWith("PERMISSION_DENIED"));
    await assert.rejects(
      known.deleteRange("gateway.a", { from: 1, to: 1 }),
      failsWith("PERMISSION_DENIED"),
    );
    await using unknown = connect(address, { tls: { ca: authority.cert, ...stranger } });
    await assert.rejects(unknown.publish("gateway.a", "x"), failsWith("UNAUTHENTICATED"));
    await assert.rejects(unknown.subscribe("gateway.a").nextBatch(), failsWith("UNAUTHENTICATED"));
    assert.equal((await unknown.ready()).ready, true);
  }
  assert.equal(await daemon.stop(), 0, daemon.log);
});

Deno.test("SIGHUP takes the file of tokens up anew: revoked ones end, others go on, a broken file changes nothing", async () => {
  await using folder = await TempFolder.make();
  const file = `${folder.path}/tokens.json`;
  const kept = await createToken(file, "kept", "--publish", ">", "--subscribe", ">");
  const revoked = await createToken(file, "revoked", "--subscribe", ">");
  await using daemon = await DaemonProcess.start(["--storage", "memory", "--auth-file", file]);
  await using publisher = connect(daemon.address, { token: kept });
  await using reader = connect(daemon.address, { token: revoked });
  await publisher.publish("a", "1");
  const [keptStream, revokedStream] = [publisher.subscribe("a"), reader.subscribe("a")];
  for (const stream of [keptStream, revokedStream]) assert.equal((await stream.nextBatch())?.length, 1);

  const good = await Deno.readTextFile(file);
  await Deno.writeTextFile(file, "{ broken");
  daemon.signal("SIGHUP");
  await daemon.logged(/keeps the tokens it has.*not JSON/);
  await publisher.publish("a", "2");
  assert.equal((await revokedStream.nextBatch())?.[0]?.text(), "2");

  await Deno.writeTextFile(file, good);
  const { code } = await runMsgbusd(["token", "revoke", "revoked", "--auth-file", file]);
  assert.equal(code, 0);
  daemon.signal("SIGHUP");
  await assert.rejects(revokedStream.nextBatch(), failsWith("UNAUTHENTICATED"));
  await publisher.publish("a", "3");
  const texts: string[] = [];
  while (texts.length < 2) {
    texts.push(...(await keptStream.nextBatch() ?? []).map((message) => message.text()));
  }
  assert.deepEqual(texts, ["2", "3"]);
  assert.equal(await daemon.stop(), 0, daemon.log);
});

Deno.test("the command line sends the token of a file or of the environment", async () => {
  await using folder = await TempFolder.make();
  const file = `${folder.path}/tokens.json`;
  const token = await createToken(file, "sensor", "--publish", "sensors.>");
  await Deno.writeTextFile(`${folder.path}/token`, `${token}\n`);
  await using daemon = await DaemonProcess.start(["--storage", "memory", "--auth-file", file]);
  const pub = ["pub", "sensors.a", "21.5", "--connect", daemon.address];
  assert.match((await runMsgbusd(pub)).stderr, /UNAUTHENTICATED/);
  assert.equal((await runMsgbusd([...pub, "--token-file", `${folder.path}/token`])).code, 0);
  assert.equal((await runMsgbusd(pub, { MSGBUS_TOKEN: token })).code, 0);
  const missing = await runMsgbusd([...pub, "--token-file", `${folder.path}/missing`]);
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /--token-file ".*missing": it does not exist/);
});

Deno.test("msgbusd ends with exit code 2 and says where a file of tokens is wrong", async () => {
  await using folder = await TempFolder.make();
  const file = `${folder.path}/tokens.json`;
  const start = async () =>
    await runMsgbusd(["serve", "--storage", "memory", "--listen", "127.0.0.1:0", "--auth-file", file]);
  assert.match((await start()).stderr, /--auth-file/);
  await Deno.writeTextFile(file, `{"tokens":[{"name":"a"}]}`);
  const { code, stderr } = await start();
  assert.equal(code, 2);
  assert.match(stderr, /tokens\.json.*tokens\[0\]\.id: it must be 12 hexadecimal digits/);
});

Deno.test("tokens that are made and revoked at the same time all count, also through a link", async () => {
  await using folder = await TempFolder.make();
  const [file, link] = [`${folder.path}/tokens.json`, `${folder.path}/link.json`];
  await createToken(file, "old", "--admin");
  await Deno.symlink(file, link);
  const names = ["a", "b", "c", "d"];
  await Promise.all([
    ...names.map((name) => createToken(file, name, "--admin")),
    runMsgbusd(["token", "revoke", "old", "--auth-file", link]),
  ]);
  const kept = JSON.parse(await Deno.readTextFile(file)).tokens.map(({ name }: { name: string }) => name)
    .sort();
  assert.deepEqual(kept, names);
  assert((await Deno.lstat(link)).isSymlink);
});

Deno.test("a Fetch ends when its caller's token is revoked", async () => {
  await using folder = await TempFolder.make();
  const file = `${folder.path}/tokens.json`;
  const token = await createToken(file, "reader", "--publish", ">", "--subscribe", ">");
  await using daemon = await DaemonProcess.start(["--storage", "memory", "--auth-file", file]);
  await using client = connect(daemon.address, { token });
  for (let i = 0; i < 60; i++) await client.publish("large", new Uint8Array(900_000));
  const messages = client.fetch("large", { limit: 60 })[Symbol.asyncIterator]();
  await messages.next();
  await runMsgbusd(["token", "revoke", "reader", "--auth-file", file]);
  daemon.signal("SIGHUP");
  await daemon.logged(/reloaded the tokens/);
  await assert.rejects(async () => {
    while ((await messages.next()).done !== true);
  }, (error) => error instanceof MsgbusError && ["UNAVAILABLE", "UNAUTHENTICATED"].includes(error.code));
});

Deno.test("msgbusd token lists and revokes what is in the file, and makes no token that could do nothing", async () => {
  await using folder = await TempFolder.make();
  const file = `${folder.path}/tokens.json`;
  await createToken(file, "sensor", "--publish", "sensors.>", "--fifo", "jobs");
  await createToken(file, "peer", "--sync");
  const list = await runMsgbusd(["token", "list"], { MSGBUS_AUTH_FILE: file });
  assert.match(list.stdout, /^NAME .*\nsensor +token +publish sensors\.>, fifo jobs\npeer +token +sync\n$/);
  const twice = await runMsgbusd(["token", "create", "sensor", "--auth-file", file, "--admin"]);
  assert.equal(twice.code, 2);
  assert.match(twice.stderr, /"sensor" is there twice/);
  const nothing = await runMsgbusd(["token", "create", "idle", "--auth-file", file]);
  assert.equal(nothing.code, 2);
  const pattern = await runMsgbusd(["token", "create", "wrong", "--auth-file", file, "--publish", "a.>.b"]);
  assert.equal(pattern.code, 2);
  assert.match(pattern.stderr, /">" must come last/);
  assert.equal((await runMsgbusd(["token", "revoke", "nobody", "--auth-file", file])).code, 1);
  assert.equal((await runMsgbusd(["token", "revoke", "peer", "--auth-file", file])).code, 0);
  assert.doesNotMatch((await runMsgbusd(["token", "list", "--auth-file", file])).stdout, /peer/);
});

Deno.test("a call without a token is refused before its message is decompressed", async () => {
  await using folder = await TempFolder.make();
  const file = `${folder.path}/tokens.json`;
  await createToken(file, "somebody", "--publish", ">");
  await using daemon = await DaemonProcess.start(["--storage", "memory", "--auth-file", file]);
  const [hostname = "", port] = daemon.address.split(":");
  await using channel = new Channel(connectTcp({ hostname, port: Number(port) }), {
    compression: { encoding: "zstd", minBytes: 1 },
  });
  // Larger than any message once it is decompressed: whoever did that would say so.
  const bomb = channel.unary("/msgbus.v1.MsgbusService/Publish", new Uint8Array(8_000_000));
  await assert.rejects(
    bomb,
    (error) => error instanceof StatusError && error.code === Status.UNAUTHENTICATED,
  );
});
