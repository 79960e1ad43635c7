/** The list of all heads of a node that has very many logs. */
import assert from "node:assert/strict";
import { GrpcServer, listenMemory } from "@msgbus/grpc";
import { connect } from "@msgbus/sdk";
import { openTestBus } from "../daemon/bus/test_bus.ts";
import { serveMsgbus } from "../daemon/service/msgbus_service.ts";
import { MemoryStore } from "../daemon/store/memory/store.ts";
import { GrpcPeerLink } from "../daemon/sync/grpc_peer_link.ts";

const LOGS = 60_000;
const NAME_LENGTH = 700;

function topicOf(at: number): string {
  return `${at}`.padEnd(NAME_LENGTH, "x");
}

Deno.test("ListHeads of 60,000 logs with long names, 43 MB, reaches clients and polling peers; others are served meanwhile", async () => {
  const bus = await openTestBus(new MemoryStore());
  const none = new Uint8Array();
  for (let first = 0; first < LOGS; first += 1_000) {
    await Promise.all(
      Array.from(
        { length: 1_000 },
        (_, at) => bus.publish({ topic: topicOf(first + at), payload: none, headers: none }),
      ),
    );
  }
  const server = new GrpcServer();
  const listener = listenMemory();
  serveMsgbus(server, bus, new AbortController().signal);
  const serving = server.serve(listener);
  const { connect: dial } = listener;
  const link = new GrpcPeerLink({ connect: dial, authority: "localhost", scheme: "http", token: undefined });
  try {
    await using client = connect("localhost", { connect: dial });
    await using another = connect("localhost", { connect: dial });
    await another.head("t"); // loads what answers
    const order: string[] = [];
    const listing = client.heads().finally(() => order.push("listed"));
    for (let count = 0; count < 3; count++) {
      await another.publish("u", "meanwhile");
      order.push("published");
    }
    const heads = await listing;
    assert.deepEqual(order, ["published", "published", "published", "listed"]);
    for (const topics of [heads, await link.heads()].map((list) => new Set(list.map(({ topic }) => topic)))) {
      assert.equal(topics.size, LOGS + 1);
      for (let at = 0; at < LOGS; at += 999) assert.ok(topics.has(topicOf(at)));
    }
  } finally {
    await link.close();
    await server.shutdown(0);
    await serving;
    await bus.close();
  }
});
