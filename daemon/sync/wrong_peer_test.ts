/** Peers that say what is wrong, too much, or nothing: they harm nobody but themselves. */
import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { SyncRequestSchema } from "@msgbus/proto/sync";
import { systemTimer, type Timer } from "../bus/timer.ts";
import type { PeerSyncState, ReplicatedMessage } from "../store/store.ts";
import { MAX_FOLLOWED_LOGS, MAX_LOGS_OF_PEER } from "./limits.ts";
import type { PeerIdentity } from "./peer_link.ts";
import { eventually, nodeName, TestNode } from "./test_node.ts";
import { TestPeer } from "./test_peer.ts";

const NO_BYTES = new Uint8Array();
const PEER = "peer";
const MAX_REQUEST_BYTES = 4 << 20;

function message(headId: number): ReplicatedMessage {
  return { headId, id: "id", createdAtMs: 1, payload: NO_BYTES, headers: NO_BYTES, deleted: false };
}

function follow(node: TestNode, peer: TestPeer): Promise<void> {
  return node.sync.add({
    peer: PEER,
    dial: () => Promise.resolve(peer),
    identity: undefined,
    include: [],
    exclude: [],
  });
}

/** What is recorded of a log that the peer has and this node lacks. */
function lacking(topic: string): PeerSyncState {
  return {
    peer: PEER,
    topic,
    origin: nodeName("origin"),
    localHead: 0,
    remoteHead: 1,
    lastSyncedHead: 0,
    lastAttemptAtMs: 0,
    lastSuccessAtMs: 0,
    consecutiveFailures: 0,
    lastError: "",
    localIncarnation: "",
    remoteIncarnation: "x",
    fork: "none",
  };
}

Deno.test("StreamSession asks for everything where the logs that it lacks do not fit into a hello", async () => {
  await using b = await TestNode.start("b");
  const states = Array.from({ length: 4_500 }, (_, at) => lacking(`${at}${"t".repeat(1_000)}`));
  await b.store.recordPeerSync(states, { peer: PEER, incarnation: "x", sequence: 7, opening: "m" });
  const peer = new TestPeer();
  await follow(b, peer);
  await eventually(() => peer.requests.length > 0, "it says hello");
  const [request] = peer.requests;
  assert.equal(request?.case, "hello");
  assert.ok(request.case === "hello" && request.value.after === undefined, "it is told of everything");
  const bytes = toBinary(SyncRequestSchema, create(SyncRequestSchema, { request }));
  assert.ok(bytes.length < MAX_REQUEST_BYTES, `${bytes.length} bytes`);
});

for (const polled of [false, true]) {
  const how = polled ? "by polling" : "by a session";
  Deno.test(`PeerSession keeps nothing of logs with endless names, and copies the others, ${how}`, async () => {
    await using b = await TestNode.start("b");
    const peer = new TestPeer();
    const origin = nodeName("origin");
    const tooLong = "t".repeat(5_000);
    const names = [
      { topic: tooLong, origin },
      { topic: "t", origin: { ...origin, deviceId: tooLong } },
      { topic: "t", origin },
    ];
    peer.fetched = (headId) => [message(headId)];
    if (polled) peer.polled = () => names.map((name) => ({ ...name, headId: 1, incarnation: "" }));
    else {
      peer.welcome();
      peer.say({
        logs: names.map((name, at) => ({ ...name, log: BigInt(at) })),
        heads: names.map((_, at) => ({ log: BigInt(at), headId: 1n })),
        batch: { log: 2n, firstHeadId: 1n, messages: [{ id: "id", createdAtMs: 1n }] },
      });
    }
    await follow(b, peer);
    await eventually(async () => (await b.texts("t", origin)).length === 1, "the good one is copied");
    await b.sync.record();
    assert.deepEqual((await b.logStates()).map(({ topic }) => topic), ["t"]);
    assert.deepEqual(b.events, [
      `peer ${polled ? "poll" : "stream"}`,
      `peer ${"t".repeat(64)}: its name is far too long`,
    ]);
  });
}

Deno.test("StreamSession does not follow another node than the one that it asked who it is", async () => {
  await using b = await TestNode.start("b");
  const peer = new TestPeer();
  peer.welcome({ node: nodeName("another"), incarnation: "x" });
  await follow(b, peer);
  await eventually(() => b.events.length > 0, "it fails");
  assert.match(b.events[0] ?? "", /another node than tenant\/line\/peer answers/);
});

/** Timers that end, and a clock that goes on, when the test says so. */
class TestTime {
  nowMs = 1_700_000_000_000;
  #timers: { readonly ms: number; readonly callback: () => void }[] = [];

  readonly timer: Timer = (ms, callback) => {
    const timer = { ms, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  };

  readonly clock = (): number => this.nowMs;

  /** The milliseconds of the timers that wait, of those that are asked for. */
  waiting(from: number, to: number): number[] {
    return this.#timers.map(({ ms }) => ms).filter((ms) => ms >= from && ms <= to);
  }

  /** Ends the one timer of so many milliseconds, so many too late. */
  end(from: number, to: number, lateMs = 0): void {
    const [timer, ...more] = this.#timers.filter(({ ms }) => ms >= from && ms <= to);
    assert.ok(timer !== undefined && more.length === 0, `one timer of ${from} to ${to} ms`);
    this.#timers = this.#timers.filter((each) => each !== timer);
    this.nowMs += timer.ms + lateMs;
    timer.callback();
  }
}

Deno.test("StreamSession does not wait for ever for a welcome, but once more where this process stood still", async () => {
  const time = new TestTime();
  await using b = await TestNode.start("b", { timer: time.timer, clock: time.clock });
  const peer = new TestPeer();
  await follow(b, peer);
  await eventually(() => peer.requests.length > 0, "it says hello");
  time.end(10_000, 10_100, 60_000);
  assert.deepEqual(b.events, []);
  time.end(10_000, 10_100);
  await eventually(() => b.events.length > 0, "it gives up");
  assert.deepEqual(b.events, ["peer failed: the peer does not answer"]);
});

Deno.test("StreamSession waits for a welcome as long as a link of 16 kB/s needs for the hello, and no longer", async () => {
  const time = new TestTime();
  await using b = await TestNode.start("b", { timer: time.timer, clock: time.clock });
  const states = Array.from({ length: 600 }, (_, at) => lacking(`${at}`.padEnd(1_000, "t")));
  await b.store.recordPeerSync(states, { peer: PEER, incarnation: "x", sequence: 7, opening: "m" });
  const peer = new TestPeer();
  await follow(b, peer);
  await eventually(() => peer.requests.length > 0, "it says hello");
  const [request] = peer.requests;
  assert.ok(request?.case === "hello" && request.value.logs.length === 600);
  const bytes = toBinary(SyncRequestSchema, create(SyncRequestSchema, { request })).length;
  const ms = 10_000 + Math.ceil(bytes / 16);
  assert.ok(ms > 47_000, `${bytes} bytes`);
  assert.deepEqual(time.waiting(5_000, 100_000), [ms]);
  time.end(ms, ms);
  await eventually(() => b.events.length > 0, "it gives up");
  assert.deepEqual(b.events, ["peer failed: the peer does not answer"]);
});

/** Follows a peer that was welcomed and then said nothing for 700 ms, and does not answer when it is asked. */
async function followQuiet(b: TestNode, time: TestTime) {
  const peer = new TestPeer();
  await follow(b, peer);
  peer.welcome();
  await eventually(() => b.events.length > 0, "it is connected");
  const answer = Promise.withResolvers<PeerIdentity>();
  let asked = 0;
  peer.identify = () => {
    asked++;
    return answer.promise;
  };
  time.end(700, 700);
  assert.equal(asked, 1);
  return { peer, answer };
}

Deno.test("StreamSession gives a quiet peer up that does not answer in time", async () => {
  const time = new TestTime();
  await using b = await TestNode.start("b", { timer: time.timer, clock: time.clock });
  await followQuiet(b, time);
  time.end(700, 700);
  await eventually(() => b.events.length > 1, "it gives up");
  assert.deepEqual(b.events, ["peer stream", "peer failed: the peer says nothing any more"]);
});

Deno.test("StreamSession waits once more for a quiet peer where this process stood still, and goes on when it answers", async () => {
  const time = new TestTime();
  await using b = await TestNode.start("b", { timer: time.timer, clock: time.clock });
  const { peer, answer } = await followQuiet(b, time);
  time.end(700, 700, 5_000);
  assert.deepEqual(time.waiting(700, 700), [700]);
  answer.resolve(peer.identity);
  await eventually(() => time.waiting(700, 700).length === 0, "it has heard the answer");
  assert.deepEqual(b.events, ["peer stream"]);
  assert.equal(peer.sessions, 1);
});

Deno.test("StreamSession waits only once more for a quiet peer, however long this process stands still", async () => {
  const time = new TestTime();
  await using b = await TestNode.start("b", { timer: time.timer, clock: time.clock });
  await followQuiet(b, time);
  time.end(700, 700, 5_000);
  time.end(700, 700, 5_000);
  await eventually(() => b.events.length > 1, "it gives up");
  assert.match(b.events[1] ?? "", /says nothing any more/);
});

Deno.test("PeerWorker refuses a peer whose own name no node may have", async () => {
  await using b = await TestNode.start("b");
  const peer = new TestPeer();
  peer.identity = { node: { ...nodeName("peer"), deviceId: "d".repeat(2_000) }, incarnation: "" };
  await follow(b, peer);
  await eventually(() => b.events.length > 0, "it fails");
  assert.match(b.events[0] ?? "", /a name that no node may have/);
});

Deno.test("PollSession keeps nothing of a peer that tells of more logs than a peer may have", async () => {
  await using b = await TestNode.start("b");
  const peer = new TestPeer();
  const [origin, incarnation] = [nodeName("origin"), ""];
  const heads = Array.from({ length: MAX_LOGS_OF_PEER + 1 }, (_, at) => ({
    topic: `${at}`,
    origin,
    headId: 1,
    incarnation,
  }));
  peer.polled = () => heads;
  await follow(b, peer);
  await eventually(() => b.events.length > 1, "it fails");
  assert.deepEqual(b.events, ["peer poll", "peer failed: the peer tells of more than 500000 logs"]);
  await b.sync.record();
  assert.deepEqual(await b.logStates(), []);
});

Deno.test("PollSession goes on with other logs where a peer answers with other messages than it was asked for", async () => {
  await using b = await TestNode.start("b");
  const peer = new TestPeer();
  const [origin, incarnation] = [nodeName("origin"), ""];
  peer.polled = () => ["t", "u"].map((topic) => ({ topic, origin, headId: 2 ** 53, incarnation }));
  let asked = 0;
  peer.fetched = () => {
    asked++;
    return [message(1)];
  };
  await follow(b, peer);
  const states = () => b.logStates();
  await eventually(
    async () => (await states()).filter(({ lastError }) => lastError !== "").length === 2,
    "both",
  );
  assert.match((await states())[0]?.lastError ?? "", /asked for head 2, the peer answers with head 1/);
  assert.ok(asked < 10, `${asked} questions`);
});

for (const polled of [false, true]) {
  const how = polled ? "by polling" : "by a session";
  Deno.test(`PeerSession leaves a log to another peer where its own says that it has more and sends nothing, ${how}`, async () => {
    await using a = await TestNode.start("a");
    await a.publish("t", "1");
    // A second of the synchronization takes 5 ms.
    await using b = await TestNode.start("b", { timer: (ms, callback) => systemTimer(ms / 200, callback) });
    const peer = new TestPeer();
    const [origin, incarnation] = [a.bus.node, a.bus.incarnation];
    if (polled) {
      peer.polled = () => [{ topic: "t", origin, headId: 100, incarnation }];
      peer.fetched = () => new Promise(() => {});
    } else {
      peer.welcome();
      peer.say({
        logs: [{ log: 0n, topic: "t", origin, incarnation }],
        heads: [{ log: 0n, headId: 100n }],
      });
    }
    await follow(b, peer);
    await eventually(() => b.sync.peers()[0]?.logsBehind === 1, "the log is the peer's");
    await b.follow(a);
    await eventually(async () => (await b.texts("t", a)).length === 1, "it comes from the origin");
    await a.publish("t", "2");
    await eventually(async () => (await b.texts("t", a)).length === 2, "what comes after it too");
  });
}

for (const polled of [false, true]) {
  const how = polled ? "by polling" : "by a session";
  Deno.test(`PeerSession leaves a log to a quicker peer where the rest would take its own long, and takes it not back, ${how}`, async () => {
    await using a = await TestNode.start("a");
    const count = 300;
    for (let i = 1; i <= count; i++) await a.publish("t", `${i}`);
    const messages: ReplicatedMessage[] = [];
    for await (const page of a.bus.fetch({ topic: "t", origin: a.bus.node, fromHeadId: 1, limit: count })) {
      messages.push(...page);
    }
    // A second of the synchronization takes 5 ms, in which the peer sends a message.
    await using b = await TestNode.start("b", { timer: (ms, callback) => systemTimer(ms / 200, callback) });
    const peer = new TestPeer();
    const [origin, incarnation] = [a.bus.node, a.bus.incarnation];
    const followed = () => peer.requests.filter((request) => request.case === "follow").length;
    let asked = 0;
    if (polled) {
      peer.polled = () => [{ topic: "t", origin, headId: count, incarnation }];
      peer.fetched = async (from) => {
        asked++;
        await new Promise((resolve) => setTimeout(resolve, 5));
        return messages.slice(from - 1, from);
      };
    } else {
      peer.welcome();
      const logs = [{ log: 0n, topic: "t", origin, incarnation }];
      peer.say({ logs, heads: [{ log: 0n, headId: BigInt(count) }] });
    }
    let ended = false;
    const sending = (async () => {
      while (!polled && followed() === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      for (const [at, message] of messages.entries()) {
        if (ended) return;
        const { id, payload, createdAtMs, deleted } = message;
        const sent = { id, payload, createdAtMs: BigInt(createdAtMs), deleted };
        if (polled) return;
        asked++;
        peer.say({ batch: { log: 0n, firstHeadId: BigInt(at + 1), messages: [sent] } });
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    await follow(b, peer);
    await eventually(async () => (await b.texts("t", a)).length > 0, "the log is the peer's");
    await b.follow(a);
    await eventually(async () => (await b.texts("t", a)).length === count, "it comes from the origin");
    const slowly = asked;
    ended = true;
    await sending;
    assert.ok(slowly < count / 2, `${slowly} messages came from the slow one`);
    if (!polled) assert.equal(followed(), 1, "it is not followed again");
  });
}

Deno.test("PeerSession lets another peer have a log that waits, and takes it back from a slow one when there is room", async () => {
  const [origin, incarnation] = [nodeName("origin"), "i"];
  // A second of the synchronization takes 5 ms.
  await using b = await TestNode.start("b", { timer: (ms, callback) => systemTimer(ms / 200, callback) });
  const [busy, slow] = [new TestPeer(), new TestPeer()];
  slow.identity = { node: nodeName("slow"), incarnation: "slow's" };
  const count = MAX_FOLLOWED_LOGS + 1;
  const logs = Array.from(
    { length: count },
    (_, log) => ({ log: BigInt(log), topic: `t${log}`, origin, incarnation }),
  );
  busy.welcome();
  busy.say({ logs, heads: logs.map(({ log }) => ({ log, headId: 100n })) });
  await follow(b, busy);
  const follows = (peer: TestPeer) =>
    peer.requests.flatMap((request) => request.case === "follow" ? [Number(request.value.log)] : []);
  await eventually(() => follows(busy).length === MAX_FOLLOWED_LOGS, "all that are followed at once");
  const topic = `t${MAX_FOLLOWED_LOGS}`;
  slow.welcome();
  slow.say({ logs: [{ log: 0n, topic, origin, incarnation }], heads: [{ log: 0n, headId: 100n }] });
  await b.sync.add({
    peer: "slow",
    dial: () => Promise.resolve(slow),
    identity: undefined,
    include: [],
    exclude: [],
  });
  await eventually(() => follows(slow).length === 1, "the one that waits is the slow one's");
  const say = (peer: TestPeer, log: number, headId: number) =>
    peer.say({
      batch: {
        log: BigInt(log),
        firstHeadId: BigInt(headId),
        messages: [{ id: `m${headId}`, createdAtMs: 1n }],
      },
    });
  let head = 0;
  const sending = setInterval(() => say(slow, 0, ++head), 5);
  await eventually(() => head > 20, "some come");
  assert.equal(follows(slow).length, 1, "it keeps the log while the other has no room");
  for (let at = 1; at <= 100; at++) say(busy, 0, at);
  await eventually(
    () => follows(busy).includes(MAX_FOLLOWED_LOGS),
    "the busy one has room, and takes it back",
  );
  clearInterval(sending);
});
