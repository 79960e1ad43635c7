import assert from "node:assert/strict";
import type { Timer } from "../bus/timer.ts";
import { PeerError, type PeerErrorCode } from "./peer_link.ts";
import { eventually, TestNode } from "./test_node.ts";

/** How long a worker waits after each failure to reach its peer. */
async function waitsAfter(failures: readonly PeerErrorCode[]): Promise<number[]> {
  const timer: Timer = (_, callback) => {
    queueMicrotask(() => callback());
    return () => {};
  };
  await using node = await TestNode.start("b", { timer });
  let dialled = 0;
  const end = Promise.withResolvers<never>();
  await node.sync.add({
    peer: "peer",
    dial: () => {
      const code = failures[dialled++];
      return code === undefined ? end.promise : Promise.reject(new PeerError(code, "it is so"));
    },
    identity: undefined,
    include: [],
    exclude: [],
  });
  await eventually(() => dialled > failures.length, "it has tried so often");
  end.reject(new PeerError("unreachable", "the test is over"));
  return node.waits.slice(0, failures.length);
}

Deno.test("PeerWorker spares who refuses it ever longer, and probes who is not there", async () => {
  const waits = await waitsAfter(["refused", "refused", "refused", "unreachable", "unreachable"]);
  assert.deepEqual(waits, [375, 750, 1_500, 450, 450]);
});

Deno.test("PeerWorker spares who refuses it ever longer, also where it is not there in between", async () => {
  const waits = await waitsAfter(["refused", "unreachable", "refused", "unreachable", "refused"]);
  assert.deepEqual(waits, [375, 450, 750, 450, 1_500]);
});

Deno.test("PeerWorker tries again soon after the first refusal of a peer that was not there for long", async () => {
  const gone = Array.from({ length: 12 }, () => "unreachable" as const);
  assert.equal((await waitsAfter([...gone, "refused"]))[12], 375);
});
