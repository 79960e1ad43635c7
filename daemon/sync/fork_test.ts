import assert from "node:assert/strict";
import { DELETE_TOPIC } from "../bus/names.ts";
import { MemoryStore } from "../store/memory/store.ts";
import { type NodeName, StoreError } from "../store/store.ts";
import { eventually, TestNode } from "./test_node.ts";

/** What a node says of a log at a peer. */
async function stateOf(node: TestNode, topic: string, origin: TestNode) {
  await node.sync.record();
  return (await node.bus.peerSyncStates()).find((state) =>
    state.topic === topic && state.origin.deviceId === origin.bus.node.deviceId
  );
}

async function isForked(node: TestNode, topic: string, origin: TestNode): Promise<boolean> {
  return (await stateOf(node, topic, origin))?.fork === "open";
}

for (const plain of [false, true]) {
  const how = plain ? "by polling" : "by a session";
  for (const published of [1, 2, 3, 5]) {
    Deno.test(`an origin that lost its disk and has ${published} messages now is forked at who has 3, ${how}`, async () => {
      const origin = await TestNode.start("a", { plain });
      await using b = await TestNode.start("b");
      for (const text of ["1", "2", "3"]) await origin.publish("t", text);
      await b.follow(origin);
      await eventually(async () => (await b.texts("t", origin)).length === 3, "b has the old log");
      await b.sync.remove("a");
      await origin[Symbol.asyncDispose]();

      await using wiped = await TestNode.start("a", { plain });
      for (let i = 1; i <= published; i++) await wiped.publish("t", `new ${i}`);
      await wiped.publish("other", "goes on");
      await b.follow(wiped);
      await eventually(() => isForked(b, "t", wiped), "the fork is seen");
      await eventually(async () => (await b.texts("other", wiped)).length === 1, "another log goes on");
      assert.deepEqual(await b.texts("t", wiped), ["1", "2", "3"], "nothing was overwritten");
      const state = await stateOf(b, "t", wiped);
      assert.equal(state?.localIncarnation, origin.bus.incarnation);
      assert.equal(state?.remoteIncarnation, wiped.bus.incarnation);

      const [resolved] = await b.sync.resolve({
        peer: "a",
        origin: wiped.bus.node,
        topic: "t",
        decision: "adopt",
      });
      assert.equal(resolved?.archive, origin.bus.incarnation);
      await eventually(async () => (await b.texts("t", wiped)).length === published, "the new log is copied");
      const old: string[] = [];
      const range = { topic: "t", origin: wiped.bus.node, fromHeadId: 1, limit: 0 };
      for await (const page of b.bus.fetchArchived(range, resolved?.archive ?? "")) {
        old.push(...page.map(({ payload }) => new TextDecoder().decode(payload)));
      }
      assert.deepEqual(old, ["1", "2", "3"]);
      await wiped.publish("t", "live");
      await eventually(async () => (await b.texts("t", wiped)).at(-1) === "live", "and goes on");
    });
  }
}

/** A node whose store is as it was after its first messages, and the node that has copied them all. */
async function restored(before: readonly string[], lost: readonly string[], plain = false) {
  const store = new MemoryStore();
  const backup = new MemoryStore(store.incarnation);
  const a = await TestNode.start("a", { store, plain });
  const b = await TestNode.start("b");
  for (const text of before) {
    const { id, createdAtMs, payload } = await a.publish("t", text);
    await backup.append([{
      topic: "t",
      origin: a.bus.node,
      id,
      createdAtMs,
      payload,
      headers: new Uint8Array(),
    }]);
  }
  for (const text of lost) await a.publish("t", text);
  await b.follow(a);
  await eventually(async () => (await b.texts("t", a)).length === before.length + lost.length, "b has all");
  await b.sync.remove("a");
  await a[Symbol.asyncDispose]();
  return { a: await TestNode.start("a", { store: backup, plain }), b };
}

Deno.test("an origin that went back to an older backup is forked at both, and can take its lost messages from the peer", async () => {
  const { a, b } = await restored(["1", "2"], ["3", "4"]);
  await using _ = {
    [Symbol.asyncDispose]: async () => {
      await b[Symbol.asyncDispose]();
      await a[Symbol.asyncDispose]();
    },
  };
  await b.follow(a);
  await a.follow(b);
  await eventually(() => isForked(b, "t", a), "b sees that the origin has less");
  await eventually(() => isForked(a, "t", a), "the origin sees that a peer has more of its own");
  const [resolved] = await a.sync.resolve({ peer: "b", origin: a.bus.node, topic: "", decision: "adopt" });
  assert.equal(resolved?.archive, "", "what it has is the beginning");
  await eventually(async () => (await a.texts("t")).length === 4, "the origin has its messages again");
  assert.equal((await a.publish("t", "5")).headId, 5);
  await b.sync.resolve({ peer: "a", origin: a.bus.node, topic: "t", decision: "adopt" });
  await eventually(async () => (await b.texts("t", a)).length === 5, "and b follows again");
  assert.deepEqual(await b.texts("t", a), ["1", "2", "3", "4", "5"]);
});

for (const plain of [false, true]) {
  const how = plain ? "by polling" : "by a session";
  Deno.test(`an origin that went back and has as many messages again is forked at once, ${how}`, async () => {
    const { a, b } = await restored(["1", "2"], ["3", "4"], plain);
    await using _ = {
      [Symbol.asyncDispose]: async () => {
        await b[Symbol.asyncDispose]();
        await a[Symbol.asyncDispose]();
      },
    };
    for (const text of ["another 3", "another 4"]) await a.publish("t", text);
    await b.follow(a);
    await eventually(() => isForked(b, "t", a), "the fork is seen");
    assert.deepEqual(await b.texts("t", a), ["1", "2", "3", "4"]);
  });
}

Deno.test("who follows a log in whose place another of its length is adopted hears of it", async () => {
  const { a, b } = await restored(["1"], ["2"]);
  await using c = await TestNode.start("c");
  await using _ = {
    [Symbol.asyncDispose]: async () => {
      await b[Symbol.asyncDispose]();
      await a[Symbol.asyncDispose]();
    },
  };
  await c.follow(b);
  await eventually(async () => (await c.texts("t", a)).length === 2, "c has what was lost");
  await a.publish("t", "another 2");
  await b.follow(a);
  await eventually(() => isForked(b, "t", a), "b sees the fork");
  await b.sync.resolve({ peer: "a", origin: a.bus.node, topic: "t", decision: "adopt" });
  await eventually(() => isForked(c, "t", a), "c sees it too");
  assert.deepEqual(await c.texts("t", a), ["1", "2"]);
});

Deno.test("a fork that was seen in an earlier session can be adopted", async () => {
  const origin = await TestNode.start("a");
  await using b = await TestNode.start("b");
  for (const text of ["1", "2", "3"]) await origin.publish("t", text);
  await b.follow(origin);
  await eventually(async () => (await b.texts("t", origin)).length === 3, "b has the old log");
  await b.sync.remove("a");
  await origin[Symbol.asyncDispose]();
  await using wiped = await TestNode.start("a");
  await wiped.publish("t", "new");
  await b.follow(wiped);
  await eventually(() => isForked(b, "t", wiped), "the fork is seen");
  // The position is told a second after what changed.
  await eventually(
    async () =>
      (await b.bus.peerCursor("a"))?.incarnation === wiped.bus.incarnation || (await b.sync.record(), false),
    "and where it stands",
  );
  await b.sync.remove("a");
  await b.follow(wiped);
  await eventually(() => b.sync.peers()[0]?.mode === "stream", "another session");
  await b.sync.resolve({ peer: "a", origin: wiped.bus.node, topic: "t", decision: "adopt" });
  await eventually(async () => (await b.texts("t", wiped)).join() === "new", "the new log is copied");
});

Deno.test("a log that was adopted is not filled with the old one again by a peer that still has it", async () => {
  const origin = await TestNode.start("a");
  await using b = await TestNode.start("b");
  await using c = await TestNode.start("c");
  for (let i = 1; i <= 50; i++) await origin.publish("t", `old ${i}`);
  await c.follow(origin);
  await b.follow(c);
  await eventually(async () => (await b.texts("t", origin)).length === 50, "both have the old log");
  await c.sync.remove("a");
  await origin[Symbol.asyncDispose]();
  await using wiped = await TestNode.start("a");
  for (let i = 1; i <= 3; i++) await wiped.publish("t", `new ${i}`);
  await b.follow(wiped);
  await eventually(() => isForked(b, "t", wiped), "the fork is seen");
  await b.sync.resolve({ peer: "a", origin: wiped.bus.node, topic: "t", decision: "adopt" });
  await eventually(
    async () => (await b.texts("t", wiped)).join() === "new 1,new 2,new 3",
    "the new log",
  );
  await eventually(() => b.events.includes("c forked: t"), "c's is another now");
  await wiped.publish("t", "new 4");
  await eventually(async () => (await b.texts("t", wiped)).length === 4, "it goes on");
});

/** A store that has no space to set the log "u" aside. */
class CrampedStore extends MemoryStore {
  override archive(topic: string, origin: NodeName, forgetDeletes?: boolean): Promise<string> {
    return topic === "u"
      ? Promise.reject(new StoreError("full", "Cannot set aside: the disk is full; free some space"))
      : super.archive(topic, origin, forgetDeletes);
  }
}

Deno.test("what was adopted before a failure is recorded, and compared with the other peers", async () => {
  const origin = await TestNode.start("a");
  await using b = await TestNode.start("b", { store: new CrampedStore() });
  await using c = await TestNode.start("c");
  for (const topic of ["t", "u"]) await origin.publish(topic, "old");
  await c.follow(origin);
  await b.follow(c);
  const copied = async () => (await b.texts("t", origin)).length + (await b.texts("u", origin)).length;
  await eventually(async () => await copied() === 2, "both have the old logs");
  await c.sync.remove("a");
  await origin[Symbol.asyncDispose]();
  await using wiped = await TestNode.start("a");
  for (const topic of ["t", "u"]) await wiped.publish(topic, "new");
  await b.follow(wiped);
  await eventually(() => b.events.includes("a forked: t") && b.events.includes("a forked: u"), "the forks");
  const decision = { peer: "a", origin: wiped.bus.node, topic: "", decision: "adopt" } as const;
  await assert.rejects(b.sync.resolve(decision), /the disk is full/);
  const recorded = (await b.bus.peerSyncStates()).filter(({ peer }) => peer === "a");
  const forks = new Map(recorded.map(({ topic, fork }) => [topic, fork]));
  assert.deepEqual([forks.get("t"), forks.get("u")], ["none", "open"]);
  await eventually(async () => (await b.texts("t", wiped)).join() === "new", "the new log");
  await eventually(() => b.events.includes("c forked: t"), "c's is another now");
});

Deno.test("delete markers that were set aside delete nothing that arrives later", async () => {
  const remove = (node: TestNode, topic: string) =>
    node.bus.deleteRange({ topic, fromHeadId: 2, toHeadId: 3 });
  const origin = await TestNode.start("a");
  await using b = await TestNode.start("b");
  for (const text of ["1", "2", "3"]) await origin.publish("t", text);
  await remove(origin, "t");
  await b.follow(origin, { exclude: ["t"] });
  await eventually(async () => (await b.texts(DELETE_TOPIC, origin)).length === 1, "b has the marker only");
  await b.sync.remove("a");
  await origin[Symbol.asyncDispose]();
  await using wiped = await TestNode.start("a");
  for (const text of ["new 1", "new 2", "new 3"]) {
    await wiped.publish("t", text);
    await wiped.publish("u", text);
  }
  await remove(wiped, "u");
  await b.follow(wiped, { exclude: ["t"] });
  await eventually(() => isForked(b, DELETE_TOPIC, wiped), "the fork is seen");
  await b.sync.resolve({ peer: "a", origin: wiped.bus.node, topic: DELETE_TOPIC, decision: "adopt" });
  await eventually(async () => (await b.texts("u", wiped)).join() === "new 1,,", "its own markers count");
  await b.sync.remove("a");
  await b.follow(wiped);
  await eventually(async () => (await b.texts("t", wiped)).length === 3, "b has the other log too");
  assert.deepEqual(await b.texts("t", wiped), ["new 1", "new 2", "new 3"]);
});

Deno.test("who follows a log that is set aside hears of the new one", async () => {
  const origin = await TestNode.start("a");
  await using b = await TestNode.start("b");
  await using c = await TestNode.start("c");
  await origin.publish("t", "old");
  await b.follow(origin);
  await c.follow(b);
  await eventually(async () => (await c.texts("t", origin)).length === 1, "c has the old log");
  await b.sync.remove("a");
  await origin[Symbol.asyncDispose]();
  await using wiped = await TestNode.start("a");
  await wiped.publish("t", "new");
  await b.follow(wiped);
  await eventually(() => isForked(b, "t", wiped), "b sees the fork");
  await b.sync.resolve({ peer: "a", origin: wiped.bus.node, topic: "t", decision: "adopt" });
  await eventually(() => isForked(c, "t", wiped), "c sees it too");
  assert.deepEqual(await c.texts("t", wiped), ["old"]);
});

Deno.test("an origin that went back takes its own logs back all at once, and not after it published others", async () => {
  const { a, b } = await restored(["1"], ["2", "3"]);
  await using _ = {
    [Symbol.asyncDispose]: async () => {
      await b[Symbol.asyncDispose]();
      await a[Symbol.asyncDispose]();
    },
  };
  await a.follow(b);
  await eventually(() => isForked(a, "t", a), "the origin sees it");
  const adopt = { peer: "b", origin: a.bus.node, decision: "adopt" } as const;
  await assert.rejects(a.sync.resolve({ ...adopt, topic: "t" }), /all at once; leave the topic out/);
  await a.publish("t", "another 2");
  await assert.rejects(a.sync.resolve({ ...adopt, topic: "" }), /has published other messages to "t" since/);
  assert.deepEqual(await a.texts("t"), ["1", "another 2"]);
});

Deno.test("what an origin deletes from a log that is forked leaves the copy alone", async () => {
  const { a, b } = await restored(["1", "2"], ["3"]);
  await using _ = {
    [Symbol.asyncDispose]: async () => {
      await b[Symbol.asyncDispose]();
      await a[Symbol.asyncDispose]();
    },
  };
  await b.follow(a);
  await eventually(() => isForked(b, "t", a), "the fork is seen");
  await a.publish("t", "another 3");
  await a.bus.deleteRange({ topic: "t", fromHeadId: 1, toHeadId: 3 });
  await eventually(
    () => b.events.some((event) => event.includes("which is forked at this peer")),
    "the marker is refused",
  );
  assert.deepEqual(await b.texts("t", a), ["1", "2", "3"]);
  await b.sync.resolve({ peer: "a", origin: a.bus.node, topic: "t", decision: "adopt" });
  await eventually(
    async () => (await b.texts("t", a)).join() === ",,",
    "after the decision it is applied to the new log",
  );
});

Deno.test("what an origin deletes is erased in the log set aside as well, before and after the decision, but for what it lost", async () => {
  const { a, b } = await restored(["1", "2", "3"], ["4"]);
  await using _ = {
    [Symbol.asyncDispose]: async () => {
      await b[Symbol.asyncDispose]();
      await a[Symbol.asyncDispose]();
    },
  };
  const origin = a.bus.node;
  const remove = (head: number) => a.bus.deleteRange({ topic: "t", fromHeadId: head, toHeadId: head });
  await a.publish("t", "another 4");
  await b.follow(a);
  await eventually(() => isForked(b, "t", a), "the fork is seen");
  await remove(1);
  const [resolved] = await b.sync.resolve({ peer: "a", origin, topic: "t", decision: "adopt" });
  await eventually(async () => (await b.texts("t", a)).join() === ",2,3,another 4", "b has the new log");
  await remove(3);
  await remove(4);
  await eventually(async () => (await b.texts("t", a)).join() === ",2,,", "the deletions");
  const old: string[] = [];
  for await (
    const page of b.bus.fetchArchived(
      { topic: "t", origin, fromHeadId: 1, limit: 0 },
      resolved?.archive ?? "",
    )
  ) old.push(...page.map(({ payload }) => new TextDecoder().decode(payload)));
  assert.deepEqual(old, ["", "2", "", "4"]);
});

Deno.test("an origin that went back and on from there is forked, and a fork that is refused stays as it is", async () => {
  const { a, b } = await restored(["1", "2"], ["3"]);
  await using _ = {
    [Symbol.asyncDispose]: async () => {
      await b[Symbol.asyncDispose]();
      await a[Symbol.asyncDispose]();
    },
  };
  for (const text of ["another 3", "another 4"]) await a.publish("t", text);
  await b.follow(a);
  await eventually(() => isForked(b, "t", a), "the fork is seen");
  assert.deepEqual(await b.texts("t", a), ["1", "2", "3"]);
  await b.sync.resolve({ peer: "a", origin: a.bus.node, topic: "t", decision: "refuse" });
  assert.equal((await stateOf(b, "t", a))?.fork, "refused");
  await b.sync.remove("a");
  await b.follow(a);
  await a.publish("u", "goes on");
  await eventually(async () => (await b.texts("u", a)).length === 1, "another log goes on");
  assert.deepEqual(await b.texts("t", a), ["1", "2", "3"]);
  assert.equal((await stateOf(b, "t", a))?.fork, "refused");
  await assert.rejects(
    b.sync.resolve({ peer: "a", origin: a.bus.node, topic: "u", decision: "adopt" }),
    /no log "u" of tenant\/line\/a is forked at a/,
  );
  await assert.rejects(
    b.sync.resolve({ peer: "x", origin: a.bus.node, topic: "t", decision: "adopt" }),
    /there is no peer "x"; known are: a/,
  );
});
