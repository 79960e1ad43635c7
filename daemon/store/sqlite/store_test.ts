import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { NODE_A, testHeaders, testMessage } from "../contract.ts";
import { StoreError, type StoreErrorCode } from "../error.ts";
import type { PeerSyncState } from "../store.ts";
import { SqliteStore } from "./store.ts";
import { TestFolder } from "./test_folder.ts";

const folder = new TestFolder();
const PLENTY = { messages: 100_000, bytes: 1 << 30 };

function hasCode(code: StoreErrorCode, text = ""): (error: unknown) => boolean {
  return (error) => error instanceof StoreError && error.code === code && error.message.includes(text);
}

async function runOpener(path: string): Promise<string> {
  const module = new URL("./second_opener.ts", import.meta.url).href;
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", module, path] }).output();
  return new TextDecoder().decode(stdout);
}

/** The bytes of the database, its write-ahead log and its journal, one character each. */
function allFiles(path: string): string {
  return ["", "-wal", "-journal"].map((suffix) =>
    statSync(path + suffix, { throwIfNoEntry: false }) === undefined
      ? ""
      : readFileSync(path + suffix, "latin1")
  ).join("");
}

Deno.test("SqliteStore.open locks the file against this and other processes until close", async () => {
  const path = folder.file("locked.sqlite");
  const store = await SqliteStore.open({ path });
  await store.append([testMessage("t", "1")]);
  await assert.rejects(SqliteStore.open({ path }), hasCode("locked", path));
  const other = await runOpener(path);
  assert.ok(other.startsWith("locked: ") && other.includes(path) && other.includes("another msgbusd"), other);
  await store.append([testMessage("t", "2")]);
  await store.close();
  assert.equal(await runOpener(path), "opened\n");
});

Deno.test("SqliteStore.open creates an absent folder for the owner only", async () => {
  const path = folder.file("new/deep/store.sqlite");
  const store = await SqliteStore.open({ path });
  assert.equal(statSync(folder.file("new")).mode & 0o777, 0o700);
  assert.equal(statSync(folder.file("new/deep")).mode & 0o777, 0o700);
  await store.close();
});

Deno.test("SqliteStore.open fails with not_writable where no file can be", async () => {
  Deno.writeTextFileSync(folder.file("plain"), "text");
  Deno.mkdirSync(folder.file("folder"));
  await assert.rejects(
    SqliteStore.open({ path: folder.file("plain/store.sqlite") }),
    hasCode("not_writable"),
  );
  await assert.rejects(SqliteStore.open({ path: folder.file("folder") }), hasCode("not_writable"));
});

Deno.test("SqliteStore keeps messages, deletions, queues and states over close and open", async () => {
  const path = folder.file("reopen.sqlite");
  const state: PeerSyncState = {
    peer: "p",
    topic: "t",
    origin: NODE_A,
    localHead: 1,
    remoteHead: 2,
    lastSyncedHead: 3,
    lastAttemptAtMs: 4,
    lastSuccessAtMs: 5,
    consecutiveFailures: 6,
    lastError: "e",
    localIncarnation: "l",
    remoteIncarnation: "r",
    fork: "open",
  };
  const fifo = {
    ...testMessage("t", "f"),
    queue: "q",
    source: NODE_A,
    target: NODE_A,
  };
  let store = await SqliteStore.open({ path });
  await store.append([testMessage("t", "1"), testMessage("t", "2"), testMessage("u", "3")]);
  await store.deleteRange("t", NODE_A, 1, 1, testMessage("deletes", "m"));
  await store.enqueueFifo(fifo);
  await store.enqueueFifo({ ...fifo, id: "second" });
  await store.rejectFifo("q", fifo.id);
  await store.ackFifo("q", fifo.id);
  await store.ackFifo("q", "second");
  await store.recordPeerSync([state]);
  await store.close();
  store = await SqliteStore.open({ path });
  assert.deepEqual(
    (await store.heads()).map(({ topic, headId }) => `${topic} ${headId}`).sort(),
    ["deletes 1", "t 2", "u 1"],
  );
  const read = await store.read("t", NODE_A, 1, PLENTY);
  assert.deepEqual(read.map(({ id, deleted }) => [id, deleted]), [["id-1", true], ["id-2", false]]);
  assert.deepEqual(await store.append([testMessage("t", "5")]), [{ headId: 3, sequence: 5 }]);
  assert.equal(await store.peekFifo("q"), undefined);
  assert.equal(await store.enqueueFifo(fifo), 3);
  assert.deepEqual(await store.peerSyncStates(), [state]);
  await store.close();
});

Deno.test("SqliteStore.deleteRange erases the payload from every file before it settles", async () => {
  const path = folder.file("erase.sqlite");
  const store = await SqliteStore.open({ path });
  const sizes = [1, 30, 255, 900, 3000, 5000, 20_000, 100_000];
  const messages = Array.from({ length: 400 }, (_, at) => ({
    ...testMessage("t", `${at}`),
    payload: new TextEncoder().encode(
      `<secret ${at}>`.repeat(sizes[at * 7 % sizes.length] ?? 1).slice(0, 100_000),
    ),
    headers: testHeaders(new TextEncoder().encode(`<header ${at}>`)),
  }));
  for (let at = 0; at < messages.length; at += 40) await store.append(messages.slice(at, at + 40));
  const secretsIn = (files: string) => new Set(files.match(/(?<=<(secret|header) )\d+(?=>)/g) ?? []);
  assert.equal(secretsIn(allFiles(path)).size, messages.length);
  const ranges = [[1, 3], [8, 8], [20, 90], [95, 95], [97, 97], [99, 99], [150, 390]] as const;
  const left = new Set(messages.keys().map(String));
  for (const [at, [from, to]] of ranges.entries()) {
    await store.deleteRange("t", NODE_A, from, to, testMessage("deletes", `m${at}`));
    for (let head = from; head <= to; head++) left.delete(`${head - 1}`);
    assert.deepEqual([...secretsIn(allFiles(path))].sort(), [...left].sort());
  }
  await store.close();
  assert.deepEqual([...secretsIn(allFiles(path))].sort(), [...left].sort());
});

Deno.test("SqliteStore.deleteRange leaves nothing of a message that was never copied out of the log", async () => {
  const path = folder.file("erase-small.sqlite");
  const store = await SqliteStore.open({ path });
  await store.append([testMessage("t", "the secret"), testMessage("t", "the rest")]);
  assert.ok(allFiles(path).includes("the secret"));
  await store.deleteRange("t", NODE_A, 1, 1, testMessage("deletes", "m"));
  // The id "id-the secret" stays, as the contract says.
  assert.equal(allFiles(path).replaceAll("id-the secret", "").includes("the secret"), false);
  assert.ok(allFiles(path).includes("the rest"));
  await store.close();
});

Deno.test("SqliteStore.append fails with full when the disk is full, and works again when it is not", async () => {
  const path = folder.file("full.sqlite");
  let store = await SqliteStore.open({ path, maxPages: 60 });
  const small = (text: string) => [testMessage("t", text)];
  const large = Array.from({ length: 20 }, (_, at) => ({
    ...testMessage(at < 10 ? "t" : "v", `large ${at}`),
    payload: new Uint8Array(30_000),
  }));
  await store.append(small("1"));
  await assert.rejects(store.append(large), hasCode("full", path));
  assert.deepEqual((await store.read("t", NODE_A, 1, PLENTY)).map(({ id }) => id), ["id-1"]);
  await store.check();
  assert.deepEqual(await store.append(small("2")), [{ headId: 2, sequence: 2 }]);
  await assert.rejects(store.append(large), hasCode("full"));
  assert.deepEqual((await store.heads()).map(({ topic }) => topic), ["t"]);
  await store.close();
  store = await SqliteStore.open({ path });
  const placed = await store.append(large);
  assert.deepEqual([placed[0], placed[10]], [{ headId: 3, sequence: 3 }, { headId: 1, sequence: 13 }]);
  await store.close();
});

Deno.test("SqliteStore shares commits among calls that wait together", async () => {
  const store = await SqliteStore.open({ path: folder.file("shared.sqlite") });
  await store.append([testMessage("t", "0")]);
  const before = await store.stats();
  const calls = 1_000;
  await Promise.all(Array.from({ length: calls }, (_, at) => store.append([testMessage("t", `${at}`)])));
  const after = await store.stats();
  assert.equal(after.calls - before.calls, calls);
  // All of them are sent in one turn; how many the thread finds at its first look is not ours to say.
  assert.ok(after.commits - before.commits < calls / 2, `${after.commits - before.commits} commits`);
  await store.close();
});

Deno.test("SqliteStore answers more calls than the link holds, with pages larger than it", async () => {
  const store = await SqliteStore.open({ path: folder.file("link.sqlite") });
  const payload = new Uint8Array(3 << 20).fill(7);
  const appends = Array.from(
    { length: 8 },
    (_, at) => store.append([{ ...testMessage("t", `${at}`), payload }]),
  );
  const reads = Array.from({ length: 4 }, () => store.read("t", NODE_A, 1, PLENTY));
  await Promise.all(appends);
  for (const page of await Promise.all(reads)) {
    assert.deepEqual(page.map(({ id }) => id), Array.from({ length: 8 }, (_, at) => `id-${at}`));
    assert.ok(page.every(({ payload }) => payload.length === 3 << 20 && payload.at(-1) === 7));
  }
  await store.close();
});

Deno.test("SqliteStore keeps requests apart that wait in the memory of those before them", async () => {
  const store = await SqliteStore.open({ path: folder.file("memory.sqlite") });
  // Of sizes that do and do not fit at the end of that memory, and more than all of it, with reads in between.
  const sizes = Array.from({ length: 120 }, (_, at) => at * 7_919 % 200_000);
  const payloads = sizes.map((size, at) => new Uint8Array(size).fill(at + 1));
  const reads: Promise<unknown>[] = [];
  await Promise.all(payloads.map((payload, at) => {
    reads.push(store.read("t", NODE_A, 1, { messages: 1, bytes: 1 }));
    return store.append([{ ...testMessage("t", `${at}`), payload }]);
  }));
  await Promise.all(reads);
  const page = await store.read("t", NODE_A, 1, { messages: 1_000, bytes: 1 << 30 });
  assert.deepEqual(page.map(({ payload }) => payload.length), sizes);
  assert.ok(page.every(({ payload }, at) => payload.every((byte) => byte === at + 1)));
  await store.close();
});

Deno.test("SqliteStore has every acknowledged message after its process was killed", async () => {
  const path = folder.file("killed.sqlite");
  const module = new URL("./crash_writer.ts", import.meta.url).href;
  for (let round = 1; round <= 3; round++) {
    const writer = new Deno.Command(Deno.execPath(), { args: ["run", "-A", module, path], stdout: "piped" })
      .spawn();
    const acked = new Map<string, number>();
    let text = "";
    let lines = 0;
    for await (const chunk of writer.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const complete = text.split("\n");
      text = complete.pop() ?? "";
      for (const line of complete) {
        const [topic = "", head] = line.split(" ");
        acked.set(topic, Math.max(acked.get(topic) ?? 0, Number(head)));
      }
      lines += complete.length;
      if (lines > 100 * round) {
        writer.kill("SIGKILL");
        break;
      }
    }
    await writer.status;
    const store = await SqliteStore.open({ path });
    const sequences = new Set<number>();
    for (const { topic, headId } of await store.heads()) {
      assert.ok(
        headId >= (acked.get(topic) ?? 0),
        `${topic} ends at ${headId}, acknowledged ${acked.get(topic)}`,
      );
      const messages = await store.read(topic, NODE_A, 1, PLENTY);
      assert.deepEqual(messages.map(({ headId }) => headId), messages.map((_, at) => at + 1));
      assert.equal(messages.length, headId);
      for (const { sequence, id, payload } of messages) {
        sequences.add(sequence);
        assert.equal(new TextDecoder().decode(payload), id);
      }
    }
    assert.equal(Math.max(...sequences), sequences.size);
    await store.close();
  }
});

Deno.test("SqliteStore does not keep a failed process from ending", async () => {
  const module = new URL("./store.ts", import.meta.url).href;
  const path = folder.file("failed.sqlite");
  const program = `import type { PeerSyncState } from "../store.ts";
import { SqliteStore } from "${module}";
    await SqliteStore.open({ path: ${JSON.stringify(path)} });
    throw new Error("the program failed");`;
  const { code, stderr } = await new Deno.Command(Deno.execPath(), { args: ["eval", program] }).output();
  assert.equal(code, 1);
  assert.match(new TextDecoder().decode(stderr), /the program failed/);
});
