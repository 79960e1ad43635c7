/** What was acknowledged survives the death of the process. */
import assert from "node:assert/strict";
import { connect } from "@msgbus/sdk";
import { SqliteStore } from "../daemon/store/sqlite/store.ts";
import { DaemonProcess, TempFolder } from "./daemon_process.ts";

const TOTAL = 10_000;
const IN_FLIGHT = 200;

Deno.test("kill -9 in the middle of 10,000 publishes loses nothing acknowledged and leaves no gap", async () => {
  await using folder = await TempFolder.make();
  const flags = ["--data", `${folder.path}/bus.sqlite`];
  const acknowledged = new Map<number, string>();
  let started = 0;
  for (const killAfter of [1, TOTAL / 4, TOTAL / 2, TOTAL - 1]) {
    await using daemon = await DaemonProcess.start(flags);
    // Nobody comes back to acknowledge what was on its way.
    await using client = connect(daemon.address, { timeoutMs: 1_000 });
    let killed: Promise<void> | undefined;
    const publisher = async () => {
      while (killed === undefined && started < TOTAL) {
        const payload = `message ${started++}`;
        try {
          const { headId } = await client.publish("crash", payload);
          assert.equal(acknowledged.has(headId), false, `head ${headId} was given twice`);
          acknowledged.set(headId, payload);
        } catch {
          // The daemon died before it answered: this one may be stored or not.
          return;
        }
        if (acknowledged.size >= killAfter) killed ??= daemon.kill();
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, publisher));
    await killed;
  }
  await using daemon = await DaemonProcess.start(flags);
  await using client = connect(daemon.address);
  const stored = new Map<number, string>();
  let head = 0;
  while ((await client.head("crash") ?? 0) > head) {
    for await (const message of client.fetch("crash", { from: head + 1, limit: 10_000 })) {
      assert.equal(message.headId, ++head, "heads have no gap");
      stored.set(head, message.text());
    }
  }
  for (const [headId, payload] of acknowledged) assert.equal(stored.get(headId), payload);
  assert.ok(acknowledged.size >= TOTAL - 4 * IN_FLIGHT, `${acknowledged.size} were acknowledged`);
  assert.equal(new Set(stored.values()).size, stored.size, "nothing is stored twice");
});

Deno.test("kill -9 keeps deletions and queues as they were acknowledged", async () => {
  await using folder = await TempFolder.make();
  const flags = ["--data", `${folder.path}/bus.sqlite`];
  let front: string;
  {
    await using daemon = await DaemonProcess.start(flags);
    await using client = connect(daemon.address);
    for (const payload of ["one", "two", "three"]) await client.publish("t", payload);
    assert.equal(await client.deleteRange("t", { from: 2, to: 2 }), 1);
    const queue = client.fifo("q");
    const first = await queue.enqueue("first");
    front = (await queue.enqueue("second")).id;
    assert.equal(await queue.ack(first), true);
    assert.equal(await queue.reject(front), true);
    await daemon.kill();
  }
  await using daemon = await DaemonProcess.start(flags);
  await using client = connect(daemon.address);
  const stored: [number, boolean, string][] = [];
  for await (const message of client.fetch("t")) {
    stored.push([message.headId, message.deleted, message.text()]);
  }
  assert.deepEqual(stored, [[1, false, "one"], [2, true, ""], [3, false, "three"]]);
  const message = await client.fifo("q").peek();
  assert.deepEqual([message?.id, message?.sequence, message?.attempts], [front, 2, 1]);
});

for (const whose of ["own", "copied"]) {
  Deno.test(`kill -9 in the middle of a long deletion of a log that is ${whose}: what is marked is deleted, and the rest is when it comes again`, async () => {
    await using folder = await TempFolder.make();
    const path = `${folder.path}/bus.sqlite`;
    const origin = { tenantId: "tenant", blName: "line", deviceId: whose === "own" ? "local" : "other" };
    const program = new URL("./crash_deleter.ts", import.meta.url).pathname;
    const deleting = (most: number) =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", program, path, whose, `${most}`],
        stdout: "piped",
      });
    /** Whether each message is deleted, and the ranges of the markers. */
    const stored = async () => {
      const store = await SqliteStore.open({ path });
      const limits = { messages: 1_000, bytes: 64 << 20 };
      const messages = await store.read("t", origin, 1, limits);
      const markers = await store.read("$msgbus.delete", origin, 1, limits);
      await store.close();
      return {
        deleted: messages.map(({ deleted }) => deleted),
        ranges: markers.map(({ payload }) => {
          const { from_head_id: from, to_head_id: to } = JSON.parse(new TextDecoder().decode(payload));
          return [from, to] as [from: number, to: number];
        }),
      };
    };
    for (let parts = 3; parts <= 9; parts += 3) {
      const child = deleting(6).spawn();
      let lines = 0;
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
        lines += text.split("\n").length - 1;
        if (lines < 3) continue;
        child.kill("SIGKILL");
        break;
      }
      await child.status;
      const { deleted, ranges } = await stored();
      const count = deleted.filter((each) => each).length;
      assert.ok(count >= 3 * parts && count < 60, `${count} are deleted after ${parts} parts`);
      assert.deepEqual(deleted, deleted.map((_, at) => at < count), "from the front, without a gap");
      if (whose === "copied") assert.deepEqual(ranges, [], "the marker comes with the last part");
      else {for (let head = 1; head <= 60; head++) {
          const marked = ranges.some(([from, to]) => from <= head && head <= to);
          assert.equal(marked, head <= count, `head ${head} is marked where it is deleted`);
        }}
    }
    assert.equal((await deleting(100).output()).code, 0);
    const { deleted, ranges } = await stored();
    assert.deepEqual(deleted, Array(60).fill(true));
    if (whose === "copied") assert.deepEqual(ranges, [[1, 60]]);
  });
}
