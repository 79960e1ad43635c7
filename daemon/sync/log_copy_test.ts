import assert from "node:assert/strict";
import type { LogHead } from "../store/store.ts";
import { LogCopy, type Plan } from "./log_copy.ts";
import { nodeName } from "./test_node.ts";

const SELF = nodeName("self");
const PEER = { node: nodeName("peer"), incarnation: "p" };
const ORIGIN = nodeName("origin");

function local(headId: number, incarnation = "x"): LogHead {
  return { topic: "t", origin: ORIGIN, headId, sequence: headId, incarnation };
}

function heard(headId: number, incarnation = "x", origin = ORIGIN): LogCopy {
  const copy = new LogCopy("t", origin);
  copy.beginSession();
  copy.heard({ topic: "t", origin, headId, incarnation });
  return copy;
}

function planned(copy: LogCopy, head: LogHead): Plan["kind"] | number {
  const plan = copy.plan(head, PEER, SELF);
  return plan.kind === "copy" ? plan.fromHeadId : plan.kind;
}

Deno.test("LogCopy.plan copies what the peer has more, from a message on that both have", () => {
  assert.equal(planned(heard(5), local(0, "")), 1, "nothing to compare");
  assert.equal(planned(heard(5), local(3)), 3);
  const agreed = heard(5);
  agreed.agreed(3);
  assert.equal(planned(agreed, local(3)), 4);
  assert.equal(planned(agreed, local(4)), 4, "another peer gave us one more: it may be none of this peer's");
  agreed.heard({ topic: "t", origin: ORIGIN, headId: 5, incarnation: "y" });
  assert.equal(planned(agreed, local(3)), 3, "the peer has another log by now");
  assert.equal(planned(heard(5), local(5)), "nothing");
  assert.equal(planned(heard(3), local(5)), "nothing", "a peer may be behind");
});

Deno.test("LogCopy.plan compares where the incarnations differ, once", () => {
  const other = heard(3, "y");
  assert.equal(planned(other, local(5)), "verify");
  other.agreed(3);
  assert.equal(planned(other, local(5)), "nothing");
  assert.equal(planned(heard(3, ""), local(5)), "nothing", "the first implementation names none");
});

Deno.test("LogCopy.plan compares logs of one length with their origin, and where the peer put another in its place, once", () => {
  const origins = heard(5, "x", PEER.node);
  assert.equal(planned(origins, local(5)), "verify");
  origins.agreed(5);
  assert.equal(planned(origins, local(5)), "nothing");
  const replaced = heard(5);
  assert.equal(planned(replaced, local(5)), "nothing", "another's copy");
  replaced.replaced();
  replaced.heard({ topic: "t", origin: ORIGIN, headId: 5, incarnation: "x" });
  assert.equal(planned(replaced, local(5)), "verify");
  replaced.agreed(5);
  assert.equal(planned(replaced, local(5)), "nothing");
});

Deno.test("LogCopy.plan compares again when the peer tells of a log that was compared by what an earlier session heard", () => {
  const copy = heard(5, "x", PEER.node);
  copy.beginSession();
  assert.equal(planned(copy, local(5)), "verify");
  copy.verified = true; // the peer has nothing of it yet
  assert.equal(planned(copy, local(5)), "nothing");
  copy.heard({ topic: "t", origin: PEER.node, headId: 5, incarnation: "x" });
  assert.equal(planned(copy, local(5)), "verify");
});

Deno.test("LogCopy.plan asks an origin that seems to have less than its copies, once in a session", () => {
  const behind = heard(3, "x", PEER.node);
  assert.equal(planned(behind, local(5)), "ask");
  behind.asked = true;
  assert.equal(planned(behind, local(5)), "nothing");
  behind.beginSession();
  behind.heard({ topic: "t", origin: PEER.node, headId: 3, incarnation: "x" });
  assert.equal(planned(behind, local(5)), "ask");
});

Deno.test("LogCopy.plan compares its own logs, and never copies them unless somebody decided so", () => {
  assert.equal(planned(heard(3, "x", SELF), local(5)), "verify");
  assert.equal(planned(heard(7, "x", SELF), local(5)), "fork");
  const adopted = heard(7, "x", SELF);
  adopted.adopted(true);
  assert.equal(planned(adopted, local(5)), 5);
});

Deno.test("LogCopy.plan does nothing about a fork until somebody decides", () => {
  for (const fork of ["open", "refused"] as const) {
    const copy = heard(9, "y");
    copy.fork = fork;
    assert.equal(planned(copy, local(5)), "nothing");
    copy.adopted(false);
    assert.equal(planned(copy, local(0, "")), 1);
  }
});

Deno.test("LogCopy.heard takes a lower head only in a new session, or of another incarnation", () => {
  const copy = heard(9);
  const hear = (headId: number, incarnation: string) => {
    copy.heard({ topic: "t", origin: ORIGIN, headId, incarnation });
    return copy.remoteHead;
  };
  assert.equal(hear(7, "x"), 9, "messages were quicker than the news of them");
  assert.equal(hear(2, "y"), 2);
  copy.beginSession();
  assert.equal(hear(1, "y"), 1);
});

Deno.test("LogCopy.restore takes up a recorded state", () => {
  const copy = heard(9, "y");
  copy.fork = "open";
  copy.lastError = "why";
  copy.consecutiveFailures = 3;
  const state = copy.state("peer", local(5));
  assert.deepEqual(LogCopy.restore(state).state("peer", local(5)), state);
  assert.deepEqual([state.localHead, state.remoteHead, state.localIncarnation, state.remoteIncarnation], [
    5,
    9,
    "x",
    "y",
  ]);
});
