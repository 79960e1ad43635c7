/** The command line against the real service over memory: what people and programs see, and the exit codes. */
import { connectTcp, GrpcServer, listenTcp } from "@msgbus/grpc";
import assert from "node:assert/strict";
import { Bus } from "../daemon/bus/bus.ts";
import { systemTimer } from "../daemon/bus/timer.ts";
import { type CliIo, ClosedOutput } from "../daemon/cli/io.ts";
import { run } from "../daemon/cli/run.ts";
import type { Config } from "../daemon/config/config.ts";
import { serveMsgbus } from "../daemon/service/msgbus_service.ts";
import { registerStreams } from "../daemon/service/stream_methods.ts";
import { streamHandlers } from "../daemon/service/stream_service.ts";
import { statusOfBusError } from "../daemon/service/status.ts";
import { MemoryStore } from "../daemon/store/memory/store.ts";
import { GrpcPeerLink } from "../daemon/sync/grpc_peer_link.ts";
import { serveSync } from "../daemon/sync/serve_sync.ts";
import { Synchronizer } from "../daemon/sync/synchronizer.ts";

const NODE = { tenantId: "tenant", blName: "default", deviceId: "device" };
const encoder = new TextEncoder();

/** The data directory of a daemon that is asked. */
const INCARNATION = "01a1faa9-e04b-7329-ad46-403dc26accab";
const NOW_MS = 1_700_000_000_123;

/** A daemon with a clock that stands still and chance that counts. */
class TestDaemon implements AsyncDisposable {
  readonly address: string;
  readonly sync: Synchronizer;
  readonly #server: GrpcServer;
  readonly #serving: Promise<void>;
  readonly #stopping: AbortController;

  private constructor(bus: Bus) {
    this.#server = new GrpcServer();
    this.#stopping = new AbortController();
    const nothing = () => {};
    this.sync = new Synchronizer({
      bus,
      poll: { intervalMs: 1_000, batchLimit: 100 },
      events: { connected: nothing, failed: nothing, forked: nothing, logFailed: nothing },
      // Sooner than in earnest, but no peer may count as gone on a busy machine.
      timer: (ms, callback) => systemTimer(ms / 4, callback),
      now: () => NOW_MS,
      random: () => 0.5,
    });
    serveMsgbus(this.#server, bus, this.#stopping.signal, undefined, this.sync);
    registerStreams(
      this.#server,
      () => Promise.resolve(streamHandlers(bus, this.#stopping.signal)),
      undefined,
    );
    serveSync(this.#server, bus, {
      synchronizer: this.sync,
      timer: systemTimer,
      stopping: this.#stopping.signal,
      accessOf: () => bus,
      statusOf: statusOfBusError,
    });
    const listener = listenTcp({ hostname: "127.0.0.1", port: 0 });
    this.address = listener.address;
    this.#serving = this.#server.serve(listener);
  }

  static async start(deviceId = NODE.deviceId, incarnation = INCARNATION): Promise<TestDaemon> {
    let count = incarnation.charCodeAt(0);
    return new TestDaemon(
      await Bus.open({
        store: new MemoryStore(incarnation),
        node: { ...NODE, deviceId },
        clock: () => NOW_MS,
        random: (into) => into.fill(count++ & 0xff),
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sync.close();
    this.#stopping.abort();
    await this.#server.shutdown(0);
    await this.#serving;
  }
}

/** Surroundings in memory. */
class TestIo {
  out = "";
  err = "";
  input = "";
  terminal = false;
  stdoutOpen = true;
  interrupt: () => void = () => {};
  readonly env: Record<string, string> = { XDG_STATE_HOME: "/state" };
  readonly files = new Map<string, string>();
  readonly configs: Config[] = [];
  /** Called after each write to standard output. */
  onOut: () => void = () => {};

  constructor(daemon?: TestDaemon) {
    // Nobody listens on port 1.
    this.env.MSGBUS_CONNECT = daemon?.address ?? "127.0.0.1:1";
  }

  /** Runs a command line. */
  run(...argv: readonly string[]): Promise<number> {
    this.out = "";
    this.err = "";
    return run(argv, this.#io());
  }

  /** Runs a command line with --json; gives the objects of standard output. */
  async json(...argv: readonly string[]): Promise<unknown[]> {
    await this.run(...argv, "--json");
    return this.out.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  }

  #io(): CliIo {
    return {
      stdout: {
        isTerminal: this.terminal,
        write: (data) => {
          if (!this.stdoutOpen) return Promise.reject(new ClosedOutput("closed"));
          this.out += data;
          this.onOut();
          return Promise.resolve();
        },
      },
      stderr: { isTerminal: false, write: (data) => Promise.resolve(void (this.err += data)) },
      stdin: () => Promise.resolve(encoder.encode(this.input)),
      env: (name) => this.env[name],
      files: {
        read: (path) => {
          const content = this.files.get(path);
          return Promise.resolve(content === undefined ? undefined : encoder.encode(content));
        },
        replace: (path, content) => Promise.resolve(void this.files.set(path, content)),
        lock: () => Promise.resolve(() => {}),
        whyUnreadable: (path) => this.files.has(path) ? undefined : "it does not exist",
      },
      onInterrupt: (callback) => {
        this.interrupt = callback;
        return () => this.interrupt = () => {};
      },
      startDaemon: (config) => {
        this.configs.push(config);
        return Promise.resolve(0);
      },
      runtimeVersions: () => [["deno", "2.9.6"], ["sqlite", "3.53.0"]],
    };
  }
}

const MESSAGE_ONE = {
  schema: "msgbus.message/1",
  topic: "orders",
  origin: { tenant_id: "tenant", bl_name: "default", device_id: "device" },
  head_id: 1,
  created_at_ms: 1_700_000_000_123,
  deleted: false,
  headers: {},
  payload_base64: "aMOpbGxv",
  payload_text: "héllo",
};

function withoutId(record: unknown): unknown {
  assert.ok(typeof record === "object" && record !== null && "id" in record && typeof record.id === "string");
  const { id, ...rest } = record;
  assert.match(id, /^[0-9a-f-]{36}$/);
  return rest;
}

Deno.test("pub prints where the message stands, for people and for programs", async () => {
  await using daemon = await TestDaemon.start();
  const io = new TestIo(daemon);
  assert.deepEqual((await io.json("pub", "orders", "héllo")).map(withoutId), [MESSAGE_ONE]);
  assert.equal(await io.run("pub", "orders", "two", "--header", "a=b=c", "--header", "d="), 0);
  assert.equal(io.out, "#2  2023-11-14T22:13:20.123Z  two  [a=b=c, d=]\n");
  assert.equal(io.err, "");
});

Deno.test("pub takes its payload from standard input and from a file", async () => {
  await using daemon = await TestDaemon.start();
  const io = new TestIo(daemon);
  io.input = "piped\n";
  assert.equal(await io.run("pub", "orders", "-"), 0);
  assert.equal(io.out, "#1  2023-11-14T22:13:20.123Z  piped\\n\n");
  io.files.set("/payload", "of a file");
  assert.equal(await io.run("pub", "orders", "--file", "/payload"), 0);
  assert.match(io.out, /of a file\n$/);
});

for (
  const [what, argv, message] of [
    ["no payload", [], "The payload is missing; give it, or - for standard input, or --file"],
    [
      "a file that is missing",
      ["--file", "/nope"],
      'Cannot read --file "/nope": it does not exist; give another',
    ],
    ["two payloads", ["x", "--file", "/nope"], "Cannot take both a payload and --file; give one"],
  ] as const
) {
  Deno.test(`pub with ${what} is exit code 2`, async () => {
    const io = new TestIo();
    assert.deepEqual([await io.run("pub", "orders", ...argv), io.out, io.err], [
      2,
      "",
      `msgbusd: ${message}\n`,
    ]);
  });
}

Deno.test("fetch prints a range; control characters are escaped, bytes are hex, deleted messages keep their place", async () => {
  await using daemon = await TestDaemon.start();
  const io = new TestIo(daemon);
  for (const payload of ["one", "\x1b]0;title\x07", "three\tthree"]) await io.run("pub", "orders", payload);
  assert.equal(await io.run("delete", "orders", "1", "1"), 0);
  assert.equal(io.out, "deleted 1 of orders #1 to #1\n");
  assert.equal(await io.run("fetch", "orders"), 0);
  assert.equal(
    io.out,
    "#1  2023-11-14T22:13:20.123Z  (deleted)\n" +
      "#2  2023-11-14T22:13:20.123Z  \\u001b]0;title\\u0007\n" +
      "#3  2023-11-14T22:13:20.123Z  three\\tthree\n",
  );
  await io.run("fetch", "orders", "--from", "2", "--limit", "1");
  assert.match(io.out, /^#2 .*\n$/);
  assert.deepEqual([await io.run("fetch", "nothing"), io.out], [0, ""]);
  assert.deepEqual([await io.run("fetch", "orders", "--origin", "a/b/c"), io.out], [0, ""]);
});

Deno.test("colour goes to a terminal only, and not where NO_COLOR is set", async () => {
  await using daemon = await TestDaemon.start();
  const io = new TestIo(daemon);
  io.terminal = true;
  await io.run("pub", "orders", "x");
  assert.equal(io.out, "\x1b[2m#1  2023-11-14T22:13:20.123Z\x1b[0m  x\n");
  io.env.NO_COLOR = "1";
  await io.run("fetch", "orders");
  assert.equal(io.out, "#1  2023-11-14T22:13:20.123Z  x\n");
});

Deno.test("sub ends after --count with 0, and on an interrupt with 0", async () => {
  await using daemon = await TestDaemon.start();
  const io = new TestIo(daemon);
  await io.run("pub", "orders", "one");
  await io.run("pub", "orders", "two");
  assert.equal(await io.run("sub", "orders", "--count", "1"), 0);
  assert.match(io.out, /^#1 .*one\n$/);
  io.onOut = () => io.interrupt();
  assert.equal(await io.run("sub", "orders"), 0);
  assert.match(io.out, /^#1 .*one\n#2 .*two\n$/);
});

Deno.test("sub whose reader went away ends with 0", async () => {
  await using daemon = await TestDaemon.start();
  const io = new TestIo(daemon);
  await io.run("pub", "orders", "one");
  io.stdoutOpen = false;
  assert.deepEqual([await io.run("sub", "orders"), io.err], [0, ""]);
});

Deno.test("consume prints what matches with its topic, and goes on behind a cursor", async () => {
  await using daemon = await TestDaemon.start();
  const io = new TestIo(daemon);
  for (const [topic, text] of [["a.x", "one"], ["b", "two"], ["a.y", "three"]] as const) {
    await io.run("pub", topic, text);
  }
  assert.equal(await io.run("consume", "a.*", "--stored", "--cursor"), 0);
  assert.match(io.out, /^a\.x {2}#1 .*one\na\.y {2}#1 .*three\n$/);
  const cursor = io.err.trim();
  assert.match(cursor, /^cursor:./);
  await io.run("pub", "a.x", "four");
  await io.run("delete", "a.y", "1", "1");
  assert.equal(await io.run("consume", "a.*", "--stored", "--from", cursor), 0);
  assert.match(io.out, /^a\.x {2}#2 .*four\n$/);
  assert.equal(
    await io.run("consume", ">", "--stored", "--skip-deleted", "--from", "2023-11-14T00:00:00Z"),
    0,
  );
  assert.match(io.out, /one\n.*two\n.*four\n$/);
  const [message] = await io.json("consume", "a.x", "--count", "1", "--from", "2");
  assert.deepEqual((message as { topic: string; head_id: number }).head_id, 2);
  io.onOut = () => io.interrupt();
  assert.equal(await io.run("consume", "b"), 0);
  assert.match(io.out, /^b {2}#1 .*two\n$/);
  assert.equal(await io.run("consume", "a.>.b"), 4);
  assert.match(io.err, /must come last.*INVALID_ARGUMENT/);
  assert.equal(await io.run("consume", "a", "--cursor", "--count", "1"), 2);
});

Deno.test("pull prints what it has not printed before, and exit code 1 says that there is nothing", async () => {
  await using daemon = await TestDaemon.start();
  const io = new TestIo(daemon);
  for (const payload of ["one", "two", "three"]) await io.run("pub", "orders", payload);
  assert.equal(await io.run("pull", "orders", "--limit", "2"), 0);
  assert.match(io.out, /^#1 .*one\n#2 .*two\n$/);
  assert.equal(await io.run("pull", "orders"), 0);
  assert.match(io.out, /^#3 .*three\n$/);
  assert.deepEqual([await io.run("pull", "orders"), io.out, io.err], [
    1,
    "",
    'msgbusd: Nothing new in "orders"\n',
  ]);
  assert.match([...io.files.keys()].join(), /^\/state\/msgbus\/pull-[0-9a-f]{32}\.json$/);
  assert.match([...io.files.values()].join(), /"topic":"orders",.*"head_id":3}\n$/);
  assert.equal(await io.run("pull", "orders", "--state", "/mine"), 0);
  assert.match(io.out, /^#1 /);
});

Deno.test("pull does not move on when its output could not be written", async () => {
  await using daemon = await TestDaemon.start();
  const io = new TestIo(daemon);
  await io.run("pub", "orders", "one");
  io.stdoutOpen = false;
  await io.run("pull", "orders");
  assert.equal(io.files.size, 0);
});

Deno.test("pull refuses a state of another log, of something else, or of a log that was longer", async () => {
  await using daemon = await TestDaemon.start();
  const io = new TestIo(daemon);
  await io.run("pub", "orders", "one");
  await io.run("pub", "others", "one");
  await io.run("pull", "orders", "--state", "/s");
  assert.equal(await io.run("pull", "others", "--state", "/s"), 2);
  assert.match(io.err, /belongs to another topic or origin/);
  io.files.set("/s", (io.files.get("/s") ?? "").replace('"head_id":1', '"head_id":9'));
  assert.equal(await io.run("pull", "orders", "--state", "/s"), 2);
  assert.match(io.err, /head 9 was printed before, but the log ends at 1; remove "\/s"/);
  io.files.set("/s", "junk");
  assert.equal(await io.run("pull", "orders", "--state", "/s"), 2);
  assert.match(io.err, /it is no state of pull/);
});

Deno.test("heads and head print the logs, for people and for programs", async () => {
  await using daemon = await TestDaemon.start();
  const io = new TestIo(daemon);
  for (let i = 0; i < 12; i++) await io.run("pub", "orders", "x");
  await io.run("pub", "a-longer-topic", "x");
  await io.run("heads");
  assert.equal(
    io.out,
    "TOPIC           ORIGIN                 HEAD\n" +
      "a-longer-topic  tenant/default/device     1\n" +
      "orders          tenant/default/device    12\n",
  );
  const origin = { tenant_id: "tenant", bl_name: "default", device_id: "device" };
  assert.deepEqual(await io.json("heads"), [
    { schema: "msgbus.head/1", topic: "a-longer-topic", origin, head_id: 1, incarnation: INCARNATION },
    { schema: "msgbus.head/1", topic: "orders", origin, head_id: 12, incarnation: INCARNATION },
  ]);
  assert.deepEqual([await io.run("head", "orders"), io.out], [0, "12\n"]);
  assert.deepEqual(await io.json("head", "orders"), [{
    schema: "msgbus.topic_head/1",
    topic: "orders",
    head_id: 12,
  }]);
  assert.deepEqual([await io.run("head", "nope"), io.out, io.err], [
    1,
    "",
    'msgbusd: No message in "nope"\n',
  ]);
});

Deno.test("fifo enqueues, peeks, rejects and acks; what is not accepted or not there is exit code 1", async () => {
  await using daemon = await TestDaemon.start();
  const io = new TestIo(daemon);
  const [enqueued] = await io.json("fifo", "enqueue", "jobs", "work", "--topic", "t", "--header", "a=b");
  assert.deepEqual(withoutId(enqueued), {
    schema: "msgbus.fifo_message/1",
    queue: "jobs",
    topic: "t",
    source: MESSAGE_ONE.origin,
    target: MESSAGE_ONE.origin,
    sequence: 1,
    created_at_ms: 1_700_000_000_123,
    attempts: 0,
    headers: { a: "b" },
    payload_base64: "d29yaw==",
    payload_text: "work",
  });
  await io.run("fifo", "peek", "jobs");
  const id = /[0-9a-f-]{36}/.exec(io.out)?.[0] ?? "";
  assert.equal(io.out, `#1  2023-11-14T22:13:20.123Z  ${id}  attempts 0  work  [a=b]\n`);
  assert.deepEqual([await io.run("fifo", "reject", "jobs", id), io.out], [0, "accepted\n"]);
  assert.deepEqual(
    [await io.run("fifo", "ack", "jobs", "other"), io.out],
    [1, "not accepted: another message is in front, or none\n"],
  );
  assert.deepEqual(await io.json("fifo", "ack", "jobs", id), [
    { schema: "msgbus.fifo_answer/1", queue: "jobs", message_id: id, accepted: true },
  ]);
  assert.equal(await io.run("fifo", "peek", "jobs", "--json"), 1);
  assert.deepEqual([io.out, JSON.parse(io.err)], ["", {
    schema: "msgbus.error/1",
    code: "NOTHING_THERE",
    message: 'No message in queue "jobs"',
    exit_code: 1,
  }]);
});

Deno.test("health, ready, sync and version print one line or one object each", async () => {
  await using daemon = await TestDaemon.start();
  const io = new TestIo(daemon);
  const node = MESSAGE_ONE.origin;
  assert.deepEqual([await io.run("health"), io.out], [0, "SERVING tenant/default/device\n"]);
  assert.deepEqual(await io.json("health"), [
    { schema: "msgbus.health/1", status: "SERVING", node, incarnation: INCARNATION },
  ]);
  assert.deepEqual([await io.run("ready"), io.out], [0, "READY tenant/default/device\n"]);
  assert.deepEqual(await io.json("ready"), [
    { schema: "msgbus.readiness/1", ready: true, status: "READY", error: "", node, durability: "" },
  ]);
  assert.deepEqual(await io.json("sync"), []);
  assert.deepEqual([await io.run("version"), io.out], [0, "msgbus  0.1.0\ndeno    2.9.6\nsqlite  3.53.0\n"]);
  assert.deepEqual(await io.json("version"), [
    { schema: "msgbus.version/1", msgbus: "0.1.0", deno: "2.9.6", sqlite: "3.53.0" },
  ]);
});

/** A daemon that follows the peer "other:1" to whatever daemon is there. */
async function follower(there: { address: string }): Promise<TestDaemon> {
  const daemon = await TestDaemon.start();
  await daemon.sync.add({
    peer: "other:1",
    dial: () => {
      const [hostname = "", port = ""] = there.address.split(":");
      const connect = connectTcp({ hostname, port: Number(port) });
      return Promise.resolve(new GrpcPeerLink({ connect, authority: "a", scheme: "http", token: undefined }));
    },
    identity: undefined,
    include: [],
    exclude: [],
  });
  return daemon;
}

/** Runs a command until it prints what is waited for. */
async function until(io: TestIo, pattern: RegExp, ...argv: readonly string[]): Promise<string> {
  const deadline = performance.now() + 20_000;
  while (await io.run(...argv), !pattern.test(io.out)) {
    assert.ok(performance.now() < deadline, `${io.out}${io.err}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return io.out;
}

Deno.test("sync prints the peers and their logs, and what came of a forked log until somebody decides", async () => {
  const other = new TestIo();
  const origin = { ...MESSAGE_ONE.origin, device_id: "other" };
  const there = { address: "" };
  const before = await TestDaemon.start("other", "1-before");
  other.env.MSGBUS_CONNECT = there.address = before.address;
  for (const payload of ["one", "two"]) await other.run("pub", "it's", payload);
  await using daemon = await follower(there);
  const io = new TestIo(daemon);
  assert.equal(
    await until(io, /it's .* 2 +2 +0 /, "sync"),
    "PEER     NODE                  MODE    LOGS BEHIND  MESSAGES BEHIND  LAST SUCCESS              FAILURES  ERROR\n" +
      "other:1  tenant/default/other  stream            0                0  2023-11-14T22:13:20.123Z         0\n" +
      "\n" +
      "PEER     TOPIC  ORIGIN                LOCAL  REMOTE  LAG  LAST SUCCESS              FAILURES  FORK  ERROR\n" +
      "other:1  it's   tenant/default/other      2       2    0  2023-11-14T22:13:20.123Z         0\n",
  );
  await before[Symbol.asyncDispose]();
  assert.match(await until(io, / cannot connect/, "sync"), /^other:1 .* none .* [1-9]\d* {2}cannot connect/m);
  await using after = await TestDaemon.start("other", "2-after");
  other.env.MSGBUS_CONNECT = after.address;
  for (const payload of ["new", "newer", "newest"]) await other.run("pub", "it's", payload);
  there.address = after.address;
  assert.match(await until(io, / open /, "sync"), /^other:1 .* 3 +1 +2023.* 1 +open +Cannot copy .*$/m);
  await until(io, /^other:1 .* stream .* {2}0$/m, "sync");
  const [peer, log] = await io.json("sync");
  assert.ok(typeof peer === "object" && typeof log === "object");
  const { last_attempt_at_ms: _, ...peerRest } = { ...peer } as Record<string, unknown>;
  assert.deepEqual(peerRest, {
    schema: "msgbus.peer_state/1",
    peer: "other:1",
    node: origin,
    incarnation: "2-after",
    mode: "stream",
    logs_behind: 1,
    messages_behind: 1,
    consecutive_failures: 0,
    last_success_at_ms: NOW_MS,
    last_error: "",
  });
  const { last_error: reason, ...logRest } = { ...log } as Record<string, unknown>;
  assert.match(String(reason), /^Cannot copy/);
  assert.deepEqual(logRest, {
    schema: "msgbus.peer_sync_state/1",
    peer: "other:1",
    topic: "it's",
    origin,
    local_head: 2,
    remote_head: 3,
    lag: 1,
    last_synced_head: 2,
    last_attempt_at_ms: NOW_MS,
    last_success_at_ms: NOW_MS,
    consecutive_failures: 1,
    local_incarnation: "1-before",
    remote_incarnation: "2-after",
    fork: "open",
  });
  const node = "tenant/default/other";
  const forked = ["--peer", "other:1", "--origin", node];
  assert.deepEqual([await io.run("sync", "resolve", "refuse", ...forked), io.out], [
    0,
    `refused it's of ${node}: the log here stays, and is not copied from other:1 any more\n`,
  ]);
  await io.run("sync");
  assert.match(io.out, / refused /);
  assert.deepEqual(await io.json("sync", "archives"), []);
  assert.deepEqual([await io.run("sync", "resolve", "adopt", ...forked, "--topic", "it's"), io.out], [
    0,
    `adopted it's of ${node}: the log that was here is set aside; ` +
    `to read it: msgbusd fetch 'it'\\''s' --origin ${node} --archive 1-before\n`,
  ]);
  assert.deepEqual([await io.run("sync", "archives"), io.out], [
    0,
    "TOPIC  ORIGIN                HEAD  ARCHIVE\n" +
    "it's   tenant/default/other     2  1-before\n",
  ]);
  assert.deepEqual(await io.json("sync", "archives"), [
    { schema: "msgbus.archived_log/1", topic: "it's", origin, head_id: 2, archive: "1-before" },
  ]);
  await io.run("fetch", "it's", "--origin", node, "--archive", "1-before");
  assert.match(io.out, /^#1 .*one\n#2 .*two\n$/);
  assert.match(
    await until(io, /newest/, "fetch", "it's", "--origin", node),
    /^#1 .*new\n#2 .*newer\n#3 .*newest\n$/,
  );
});

Deno.test("sync resolve tells programs what was set aside, and is exit code 4 where nothing is forked", async () => {
  const there = { address: "" };
  await using daemon = await follower(there);
  const io = new TestIo(daemon);
  const other = new TestIo();
  for (const incarnation of ["1-before", "2-after"]) {
    await using origin = await TestDaemon.start("other", incarnation);
    other.env.MSGBUS_CONNECT = there.address = origin.address;
    await other.run("pub", "orders", incarnation);
    if (incarnation === "1-before") {
      await until(io, /1-before/, "fetch", "orders", "--origin", "tenant/default/other");
    } else {
      await until(io, / open /, "sync");
      const forked = ["--peer", "other:1", "--origin", "tenant/default/other"];
      assert.equal(await io.run("sync", "resolve", "adopt", ...forked, "--topic", "others"), 4);
      assert.match(io.err, /log "others" .*\(NOT_FOUND\)\n$/);
      assert.equal(await io.run("sync", "resolve", "adopt", "--peer", "p:1", "--origin", "a/b/c"), 4);
      assert.match(io.err, /no peer "p:1"; known are: other:1 \(NOT_FOUND\)\n$/);
      assert.deepEqual(await io.json("sync", "resolve", "adopt", ...forked), [{
        schema: "msgbus.resolved_fork/1",
        peer: "other:1",
        topic: "orders",
        origin: { ...MESSAGE_ONE.origin, device_id: "other" },
        decision: "adopt",
        archive: "1-before",
      }]);
    }
  }
});

Deno.test("a daemon that can't be reached is exit code 3, for people and for programs", async () => {
  const io = new TestIo();
  for (const argv of [["ready"], ["sub", "orders"], ["pub", "orders", "x"], ["pull", "orders"]]) {
    assert.equal(await io.run(...argv), 3, argv.join(" "));
    assert.match(
      io.err,
      /^msgbusd: 127\.0\.0\.1:1: cannot connect: .*; start msgbusd there, or give another address with --connect \(UNAVAILABLE\)\n$/,
    );
  }
  assert.equal(await io.run("ready", "--json"), 3);
  const { schema, code, exit_code } = JSON.parse(io.err);
  assert.deepEqual([schema, code, exit_code], ["msgbus.error/1", "UNAVAILABLE", 3]);
});

Deno.test("a daemon that does not answer in time is exit code 3", async () => {
  // The system takes the connection, and nobody ever reads from it.
  const listener = listenTcp({ hostname: "127.0.0.1", port: 0 });
  try {
    const io = new TestIo();
    assert.equal(await io.run("health", "--connect", listener.address, "--timeout-ms", "50"), 3);
    assert.match(io.err, /\(DEADLINE_EXCEEDED\)\n$/);
  } finally {
    listener.close();
  }
});

Deno.test("what the daemon refuses is exit code 4 and names the status", async () => {
  await using daemon = await TestDaemon.start();
  const io = new TestIo(daemon);
  assert.equal(await io.run("pub", "$msgbus.x", "y"), 4);
  assert.match(io.err, /^msgbusd: .*reserved.*\(PERMISSION_DENIED\)\n$/);
  assert.equal(await io.run("sub", " "), 4);
  assert.match(io.err, /\(INVALID_ARGUMENT\)\n$/);
});

for (
  const [argv, message] of [
    [["--bogus"], /^msgbusd: unknown option '--bogus'; see --help\n$/],
    [["serve", "--bogus", "1"], /unknown option '--bogus'/],
    [["frobnicate"], /^msgbusd: There is no command "frobnicate"; see msgbusd --help\n$/],
    [["--listen"], /option '--listen <address>' argument missing/],
    [["--storage", "redis"], /^msgbusd: Cannot use --storage "redis": /],
    [["--data", "a", "--data", "b"], /^msgbusd: Cannot use --data: it has 2 values; give it once\n$/],
    [["pub"], /missing required argument 'topic'/],
    [["fifo"], /The command is missing/],
    [["fetch", "t", "--from", "0"], /'0' is invalid.*Give a whole number from 1 on/],
    [["sub", "t", "--from", "yesterday"], /'yesterday' is invalid/],
    [["consume", "t", "--from", "yesterday"], /'yesterday' is invalid/],
    [["consume"], /missing required argument 'patterns'/],
    [["head", "t", "--origin", "a/b"], /Give tenant\/bl\/device/],
    [["pub", "t", "x", "--header", "novalue"], /Give name=value/],
    [["sync", "frobnicate"], /too many arguments for 'list'/],
    [["sync", "resolve", "adopt"], /required option '--peer <endpoint>' not specified/],
    [["sync", "resolve", "keep", "--peer", "p", "--origin", "a/b/c"], /'keep' is invalid.*adopt, refuse/],
    [["sync", "resolve", "adopt", "--peer", "p", "--origin", "a"], /Give tenant\/bl\/device/],
    [["health", "--timeout-ms", "0"], /Give milliseconds from 1/],
    [["health", "--connect", "nowhere"], /^msgbusd: --connect: Cannot connect to "nowhere"/],
  ] as const
) {
  Deno.test(`a wrong command line is exit code 2 and one line: ${argv.join(" ")}`, async () => {
    const io = new TestIo();
    assert.equal(await io.run(...argv), 2);
    assert.match(io.err, message);
    assert.match(io.err, /^[^\n]+\n$/);
    assert.deepEqual([io.out, io.configs], ["", []]);
  });
}

Deno.test("no command, and serve, start the daemon with flags before variables", async () => {
  const io = new TestIo();
  io.env.MSGBUS_DATA = "/env.sqlite";
  io.env.MSGBUS_DEVICE_ID = "box";
  assert.equal(await io.run("--listen", "[::1]:1", "--listen=unix:/s", "--data", "/flag.sqlite"), 0);
  assert.equal(await io.run("serve"), 0);
  assert.equal(await io.run(), 0);
  assert.deepEqual(io.configs.map(({ listen, dataPath, node }) => [listen.length, dataPath, node.deviceId]), [
    [2, "/flag.sqlite", "box"],
    [1, "/env.sqlite", "box"],
    [1, "/env.sqlite", "box"],
  ]);
});

Deno.test("the help texts name variables, defaults and exit codes", async () => {
  const io = new TestIo();
  assert.equal(await io.run("--help"), 0);
  for (const wanted of ["MSGBUS_LISTEN", "127.0.0.1:50051", "--log-format", "70  a fault", "fifo", "pull"]) {
    assert.ok(io.out.includes(wanted), wanted);
  }
  assert.equal(await io.run("sub", "--help"), 0);
  for (const wanted of ["MSGBUS_CONNECT", "--from <head|now>", "Exit codes"]) {
    assert.ok(io.out.includes(wanted), wanted);
  }
  assert.deepEqual([await io.run("--version"), io.out], [0, "0.1.0\n"]);
});

Deno.test("the version is that of the daemon's package", async () => {
  const io = new TestIo();
  await io.run("--version");
  const { version } = JSON.parse(await Deno.readTextFile(new URL("../daemon/deno.json", import.meta.url)));
  assert.equal(io.out, `${version}\n`);
});
