/** The daemon as a process: how it starts, what it refuses, how it stops. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { create, toBinary } from "@bufbuild/protobuf";
import { Channel, type Connect, connectTcp, Status } from "@msgbus/grpc";
import { PublishRequestSchema } from "@msgbus/proto";
import { connect, MsgbusError } from "@msgbus/sdk";
import { DaemonProcess, runMsgbusd, TempFolder } from "./daemon_process.ts";

async function hash(path: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
  return Array.from(new Uint8Array(digest), (octet) => octet.toString(16)).join();
}

async function assertRefused(flags: readonly string[], text: RegExp): Promise<void> {
  const { code, stderr } = await runMsgbusd(["serve", "--listen", "127.0.0.1:0", ...flags]);
  assert.equal(code, 2, stderr);
  assert.match(stderr, text);
  assert.doesNotMatch(stderr, /\n\s+at /, "no stack for what an operator can mend");
}

Deno.test("msgbusd refuses a data path that can't be written, with exit code 2", async () => {
  await using folder = await TempFolder.make();
  await Deno.writeTextFile(`${folder.path}/file`, "");
  await assertRefused(["--data", `${folder.path}/file/bus.sqlite`], /file\/bus\.sqlite/);
  await assertRefused(["--data", folder.path], new RegExp(folder.path));
});

Deno.test("msgbusd refuses what is no database of its own, and leaves the file untouched", async () => {
  await using folder = await TempFolder.make();
  const text = `${folder.path}/notes.txt`;
  await Deno.writeTextFile(text, "these are notes, not a database\n".repeat(100));
  const foreign = `${folder.path}/other.sqlite`;
  const database = new DatabaseSync(foreign);
  database.exec("CREATE TABLE precious (x); INSERT INTO precious VALUES (1)");
  database.close();
  for (const path of [text, foreign]) {
    const before = await hash(path);
    await assertRefused(["--data", path], /database/);
    assert.equal(await hash(path), before);
  }
  assert.deepEqual(
    Array.from(Deno.readDirSync(folder.path), ({ name }) => name).sort(),
    ["notes.txt", "other.sqlite"],
    "nothing was left beside them",
  );
});

Deno.test("msgbusd refuses a file of a newer version, and leaves it untouched", async () => {
  await using folder = await TempFolder.make();
  const path = `${folder.path}/bus.sqlite`;
  {
    await using daemon = await DaemonProcess.start(["--data", path]);
    assert.equal(await daemon.stop(), 0);
  }
  const database = new DatabaseSync(path);
  database.exec("PRAGMA user_version = 9999");
  database.close();
  const before = await hash(path);
  await assertRefused(["--data", path], /newer/);
  assert.equal(await hash(path), before);
});

Deno.test("msgbusd refuses a file that another msgbusd has open, and the first goes on", async () => {
  await using folder = await TempFolder.make();
  const path = `${folder.path}/bus.sqlite`;
  await using daemon = await DaemonProcess.start(["--data", path]);
  await assertRefused(["--data", path], /bus\.sqlite/);
  await using client = connect(daemon.address);
  assert.equal((await client.publish("t", "x")).headId, 1);
});

Deno.test("msgbusd refuses an address in use and names the flag", async () => {
  await using folder = await TempFolder.make();
  await using daemon = await DaemonProcess.start(["--storage", "memory"]);
  const { code, stderr } = await runMsgbusd([
    "serve",
    "--listen",
    daemon.address,
    "--data",
    `${folder.path}/bus.sqlite`,
  ]);
  assert.equal(code, 2, stderr);
  assert.match(stderr, /--listen/);
  assert.ok(stderr.includes(daemon.address), stderr);
});

Deno.test("msgbusd refuses unknown flags and values, with exit code 2 and the flag's name", async () => {
  await assertRefused(["--durabilty", "full"], /--durabilty/);
  await assertRefused(["--durability", "sometimes"], /--durability.*sometimes/);
  await assertRefused(["--sync-interval-ms", "soon"], /--sync-interval-ms/);
  await assertRefused(["--tls-cert", "/dev/null"], /--tls-key/);
});

Deno.test("msgbusd compresses for clients that compress, from --min-compress-bytes on", async () => {
  for (const [minBytes, smaller] of [[1_000, true], [3_000, false]] as const) {
    const flags = ["--storage", "memory", "--min-compress-bytes", String(minBytes)];
    await using daemon = await DaemonProcess.start(flags);
    const [hostname = "", port] = daemon.address.split(":");
    const dial = connectTcp({ hostname, port: Number(port) });
    let received = 0;
    const counting: Connect = async (signal) => {
      const stream = await dial(signal);
      const read = stream.read.bind(stream);
      stream.read = async () => {
        const bytes = await read();
        received += bytes?.length ?? 0;
        return bytes;
      };
      return stream;
    };
    await using channel = new Channel(counting, { compression: { encoding: "gzip", minBytes: 1 } });
    // The answer repeats the payload.
    const payload = new Uint8Array(2_000);
    const request = toBinary(PublishRequestSchema, create(PublishRequestSchema, { topic: "t", payload }));
    await channel.unary("/msgbus.v1.MsgbusService/Publish", request);
    assert.equal(received < 1_000, smaller, `${received} bytes`);
  }
});

Deno.test("msgbusd never serves plain text where TLS or another storage were asked for", async () => {
  await using folder = await TempFolder.make();
  const pem = `${folder.path}/x.pem`;
  await Deno.writeTextFile(pem, "");
  await assertRefused(["--tls-cert", pem, "--tls-key", pem], /--tls-cert/);
  await assertRefused(["--storage", "kv"], /--storage/);
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`msgbusd stops on ${signal}: subscriptions end, calls finish, exit code 0`, async () => {
    await using folder = await TempFolder.make();
    const flags = ["--data", `${folder.path}/bus.sqlite`];
    let acknowledged = 0;
    {
      await using daemon = await DaemonProcess.start(flags);
      // What is on its way when the daemon goes is sent again until its time is over.
      await using client = connect(daemon.address, { timeoutMs: 2_000 });
      const stop = new AbortController();
      const subscription = client.subscribe("t", { signal: stop.signal });
      const publishing = Array.from({ length: 50 }, async () => {
        for (;;) {
          try {
            await client.publish("t", "x");
            acknowledged++;
          } catch (error) {
            assert.ok(error instanceof MsgbusError, String(error));
            assert.ok(["UNAVAILABLE", "DEADLINE_EXCEEDED"].includes(error.code), String(error));
            return;
          }
        }
      });
      while (acknowledged < 500) await subscription.nextBatch();
      assert.equal(await daemon.stop(signal), 0, daemon.log);
      assert.match(daemon.log, /stopped/);
      await Promise.all(publishing);
      stop.abort();
    }
    await using daemon = await DaemonProcess.start(flags);
    await using client = connect(daemon.address);
    assert.equal(await client.head("t"), acknowledged, "what was not acknowledged was not stored either");
  });
}

Deno.test("msgbusd says in Ready what an acknowledgement promises", async () => {
  await using folder = await TempFolder.make();
  const data = ["--data", `${folder.path}/bus.sqlite`];
  for (
    const [flags, expected] of [
      [data, "full"],
      [[...data, "--durability", "normal"], "normal"],
      [["--storage", "memory"], "memory"],
    ] as const
  ) {
    await using daemon = await DaemonProcess.start(flags);
    await using client = connect(daemon.address);
    assert.equal((await client.ready()).durability, expected);
  }
});

Deno.test("msgbusd answers garbage and HTTP/1.1 on its port, closes them, and goes on", async () => {
  await using daemon = await DaemonProcess.start(["--storage", "memory"]);
  const [hostname = "", port] = daemon.address.split(":");
  const say = async (bytes: Uint8Array) => {
    using conn = await Deno.connect({ hostname, port: Number(port) });
    await conn.write(bytes);
    let answer = "";
    for await (const piece of conn.readable.pipeThrough(new TextDecoderStream())) answer += piece;
    return answer;
  };
  assert.match(
    await say(new TextEncoder().encode("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")),
    /^HTTP\/1\.1 505 /,
  );
  await say(crypto.getRandomValues(new Uint8Array(10_000)));
  await using client = connect(daemon.address);
  assert.equal((await client.publish("t", "x")).headId, 1);
  assert.doesNotMatch(daemon.log, /"level":"(ERROR|FATAL)"/);
});

Deno.test("msgbusd holds a publisher's speed and memory while one subscriber is paused", async () => {
  await using daemon = await DaemonProcess.start(["--storage", "memory"]);
  await using client = connect(daemon.address);
  await using other = connect(daemon.address);
  await client.publish("t", new Uint8Array(1_000));
  const paused = other.subscribe("t");
  await paused.nextBatch();
  const total = 20_000;
  let published = 1;
  await Promise.all(Array.from({ length: 50 }, async () => {
    while (published < total) {
      published++;
      await client.publish("t", new Uint8Array(1_000));
    }
  }));
  const head = await client.head("t") ?? 0;
  let next = 2;
  while (next <= head) {
    for (const { headId } of await paused.nextBatch() ?? assert.fail("the subscription ended")) {
      assert.equal(headId, next++, "the paused one gets everything afterwards");
    }
  }
  await paused.close();
});

Deno.test("msgbusd tells whoever watches its health that it stops, before their call ends", async () => {
  await using daemon = await DaemonProcess.start(["--storage", "memory"]);
  const [hostname = "", port] = daemon.address.split(":");
  await using channel = new Channel(connectTcp({ hostname, port: Number(port) }));
  const watch = channel.serverStreaming("/grpc.health.v1.Health/Watch", new Uint8Array(0));
  // HealthCheckResponse with the status SERVING, and then with NOT_SERVING.
  assert.deepEqual(await watch.nextBatch(), [Uint8Array.of(8, 1)]);
  const stopped = daemon.stop();
  assert.deepEqual(await watch.nextBatch(), [Uint8Array.of(8, 2)]);
  await assert.rejects(watch.nextBatch(), { code: Status.UNAVAILABLE });
  assert.equal(await stopped, 0, daemon.log);
});
