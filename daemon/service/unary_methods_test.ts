import assert from "node:assert/strict";
import { Channel, GrpcServer, listenMemory } from "@msgbus/grpc";
import { settled } from "./test_calls.ts";
import { registerUnary, type Unary, type UnaryHandlers } from "./unary_methods.ts";

const EMPTY = new Uint8Array();

function pathOf(name: string): string {
  return `/msgbus.v1.MsgbusService/${name}`;
}

Deno.test("registerUnary loads once for all first calls, answers them in their order, and holds up no other method", async () => {
  const server = new GrpcServer();
  const loading = Promise.withResolvers<UnaryHandlers>();
  let loads = 0;
  registerUnary(server, () => {
    loads++;
    return loading.promise;
  }, undefined);
  server.method("/test.Test/Echo", { kind: "unary", handle: (request) => request });
  const listener = listenMemory();
  const serving = server.serve(listener);
  const channel = new Channel(() => listener.connect());
  try {
    const asked: string[] = [];
    const answered = ["EnqueueFifo", "EnqueueFifo", "AckFifo"].map((name) =>
      channel.unary(pathOf(name), EMPTY)
    );
    await settled();
    assert.deepEqual(await channel.unary("/test.Test/Echo", Uint8Array.of(7)), Uint8Array.of(7));
    assert.equal(loads, 1);
    const handler = (name: string): Unary => (request) => {
      asked.push(name);
      return Promise.resolve(request);
    };
    loading.resolve({
      GetHead: handler("GetHead"),
      ListHeads: handler("ListHeads"),
      ListPeerSyncStates: handler("ListPeerSyncStates"),
      DeleteRange: handler("DeleteRange"),
      EnqueueFifo: handler("EnqueueFifo"),
      PeekFifo: handler("PeekFifo"),
      AckFifo: handler("AckFifo"),
      RejectFifo: handler("RejectFifo"),
    });
    await Promise.all(answered);
    await channel.unary(pathOf("GetHead"), EMPTY);
    assert.deepEqual(asked, ["EnqueueFifo", "EnqueueFifo", "AckFifo", "GetHead"]);
    assert.equal(loads, 1);
  } finally {
    await channel.close();
    await server.shutdown(1_000);
    await serving;
  }
});
