/** Publishing and consuming by streams, through daemons with their files as their users run them. */
import assert from "node:assert/strict";
import { type Client, connect, type Message } from "@msgbus/sdk";
import { residentBytes } from "../bench/resident.ts";
import { DaemonProcess, TempFolder } from "./daemon_process.ts";

/** Publishes texts all at once. */
async function publishAll(client: Client, topic: string, texts: readonly string[]): Promise<Message[]> {
  return await Promise.all(texts.map((text) => client.publish(topic, text)));
}

/** Everything that is stored and matches, as "topic#head=text". */
async function consumed(
  client: Client,
  patterns: string | readonly string[],
  options: Parameters<Client["consume"]>[1] = {},
): Promise<string[]> {
  const got: string[] = [];
  for await (const message of client.consume(patterns, { ...options, follow: false })) {
    got.push(`${message.topic}#${message.headId}=${message.deleted ? "(deleted)" : message.text()}`);
  }
  return got;
}

function range(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, at) => String(from + at));
}

Deno.test("messages of a stream come back by Fetch, Subscribe and Consume as they were acknowledged", async () => {
  await using folder = await TempFolder.make();
  await using daemon = await DaemonProcess.start(["--data", `${folder.path}/bus.sqlite`]);
  await using client = connect(daemon.address);
  const all = range(1, 3_000);
  const published = await Promise.all(
    all.map((text, at) =>
      client.publish(`t.${at % 3 === 0 ? "a" : "b"}`, text, at % 7 === 0 ? { headers: { at: text } } : {})
    ),
  );
  const known = (message: Message) => ({
    id: message.id,
    topic: message.topic,
    headId: message.headId,
    createdAtMs: message.createdAtMs,
    text: message.text(),
    headers: { ...message.headers },
    origin: { ...message.origin },
  });
  const expected = published.map(known);
  const stream = client.consume("t.*", { follow: false });
  const replayed = [];
  for await (const message of stream) replayed.push(known(message));
  assert.deepEqual(replayed, expected);
  const fetched = [];
  for await (const message of client.fetch("t.a")) fetched.push(known(message));
  assert.deepEqual(fetched, expected.filter(({ topic }) => topic === "t.a"));
  const followed = [];
  for await (const message of client.subscribe("t.b")) {
    if (followed.push(known(message)) === 2_000) break;
  }
  assert.deepEqual(followed, expected.filter(({ topic }) => topic === "t.b"));
  assert.equal(await daemon.stop(), 0, daemon.log);
});

Deno.test("consume from any place of a stored batch, with deleted messages within, gives just what is meant", async () => {
  await using folder = await TempFolder.make();
  await using daemon = await DaemonProcess.start(["--data", `${folder.path}/bus.sqlite`]);
  await using client = connect(daemon.address);
  await publishAll(client, "a", range(1, 500));
  await publishAll(client, "b", range(1, 50));
  await client.deleteRange("a", { from: 100, to: 120 });
  await client.deleteRange("a", { from: 498, to: 500 });
  const all = range(1, 500).map((text, at) => {
    const head = at + 1;
    const deleted = (head >= 100 && head <= 120) || head >= 498;
    return `a#${head}=${deleted ? "(deleted)" : text}`;
  });
  assert.deepEqual(await consumed(client, "a"), all);
  for (const head of [2, 99, 100, 110, 121, 255, 256, 257, 258, 499, 501]) {
    assert.deepEqual(
      await consumed(client, "a", { from: { head } }),
      all.slice(head - 1),
      `from head ${head}`,
    );
  }
  const kept = all.filter((text) => !text.endsWith("(deleted)"));
  assert.deepEqual(await consumed(client, "a", { skipDeleted: true }), kept);
  assert.deepEqual(
    await consumed(client, ["a", "b"], { from: { head: 490 }, skipDeleted: true }),
    kept.slice(-8),
  );
  assert.equal((await consumed(client, "b")).length, 50);
});

Deno.test("a consumer's cursor outlives the daemon, also one that was killed", async () => {
  await using folder = await TempFolder.make();
  const flags = ["--data", `${folder.path}/bus.sqlite`];
  let cursor = "";
  {
    await using daemon = await DaemonProcess.start(flags);
    await using client = connect(daemon.address);
    await publishAll(client, "a.x", range(1, 1_000));
    await publishAll(client, "b", ["not wanted"]);
    const stream = client.consume("a.*");
    let taken = 0;
    while (taken < 1_000) taken += (await stream.nextBatch())?.length ?? 0;
    cursor = stream.cursor;
    stream.close();
    await publishAll(client, "a.y", ["later"]);
    await daemon.kill();
  }
  await using daemon = await DaemonProcess.start(flags);
  await using client = connect(daemon.address);
  assert.deepEqual(await consumed(client, "a.*", { from: { cursor } }), ["a.y#1=later"]);
  await using elsewhere = await DaemonProcess.start(["--data", `${folder.path}/other.sqlite`]);
  await using stranger = connect(elsewhere.address);
  await assert.rejects(consumed(stranger, "a.*", { from: { cursor } }), {
    code: "FAILED_PRECONDITION",
    message: /another data directory/,
  });
});

Deno.test("a stream that goes on for long costs the daemon no more memory than at its beginning", async () => {
  await using folder = await TempFolder.make();
  await using daemon = await DaemonProcess.start(["--data", `${folder.path}/bus.sqlite`]);
  await using client = connect(daemon.address);
  const payload = crypto.getRandomValues(new Uint8Array(4_096));
  const publishMegabytes = async (megabytes: number) => {
    let left = megabytes * 256;
    const lane = async () => {
      while (left-- > 0) await client.publish("t", payload);
    };
    await Promise.all(Array.from({ length: 1_000 }, lane));
  };
  // One call for all of it: what it held on to would be held until it ends.
  await publishMegabytes(50);
  const before = residentBytes(daemon.pid);
  await publishMegabytes(300);
  const grown = (residentBytes(daemon.pid) - before) / 1e6;
  assert.ok(grown < 150, `resident memory grew by ${grown} MB while 300 MB were published`);
});

Deno.test("live consumers get every message once, through a restart of the daemon, while others publish at full speed", async () => {
  await using folder = await TempFolder.make();
  const socket = `unix:${folder.path}/bus.sock`;
  const flags = ["--data", `${folder.path}/bus.sqlite`, "--listen", socket];
  const total = 20_000;
  await using client = connect(socket, { backoff: { initialMs: 10, maxMs: 50 } });
  let daemon = await DaemonProcess.start(flags);
  try {
    const consuming = Promise.all(["t.>", "t.a"].map(async (pattern) => {
      const heads = new Map<string, number>();
      let count = 0;
      const wanted = pattern === "t.a" ? total / 2 : total;
      for await (const { topic, headId } of client.consume(pattern)) {
        assert.equal(headId, (heads.get(topic) ?? 0) + 1, `${topic} for ${pattern}`);
        heads.set(topic, headId);
        if (++count === wanted) return;
      }
    }));
    for (let sent = 0; sent < total;) {
      const wave = Array.from({ length: 1_000 }, () => client.publish(sent++ % 2 === 0 ? "t.a" : "t.b", "x"));
      await Promise.all(wave);
      if (sent === total / 2) {
        await daemon.stop();
        daemon = await DaemonProcess.start(flags);
      }
    }
    await consuming;
  } finally {
    await daemon[Symbol.asyncDispose]();
  }
});
