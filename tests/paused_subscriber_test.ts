/** An SDK subscriber who pauses for longer than the daemon lets answers wait. */
import assert from "node:assert/strict";
import { GrpcServer, listenMemory } from "@msgbus/grpc";
import { connect } from "@msgbus/sdk";
import { Bus } from "../daemon/bus/bus.ts";
import { serveMsgbus } from "../daemon/service/msgbus_service.ts";
import { MemoryStore } from "../daemon/store/memory/store.ts";
import { ManualClock } from "../grpc/testing/manual_clock.ts";

const STALL_TIMEOUT_MS = 60_000;
const MESSAGES = 4_000;
const PAYLOAD = new Uint8Array(1_000);

Deno.test("a subscriber who pauses past the stall timeout is let go, reconnects by itself and misses nothing", async () => {
  const clock = new ManualClock();
  const server = new GrpcServer({
    clock,
    limits: { stallTimeoutMs: STALL_TIMEOUT_MS, keepAliveIntervalMs: 0 },
  });
  const bus = await Bus.open({
    store: new MemoryStore(),
    node: { tenantId: "tenant", blName: "bl", deviceId: "device" },
    clock: () => 0,
    random: (into) => crypto.getRandomValues(into),
  });
  const stopping = new AbortController();
  serveMsgbus(server, bus, stopping.signal);
  const listener = listenMemory();
  const serving = server.serve(listener);
  {
    await using publisher = connect("paused", { connect: listener.connect });
    await using reader = connect("paused", {
      connect: listener.connect,
      backoff: { initialMs: 1, maxMs: 1 },
    });
    for (let sent = 0; sent < MESSAGES; sent += 100) {
      await Promise.all(Array.from({ length: 100 }, () => publisher.publish("topic", PAYLOAD)));
    }
    const reasons: string[] = [];
    const subscription = reader.subscribe("topic", {
      onReconnect: ({ error }) => reasons.push(error.message),
    });
    assert.equal((await subscription.next()).value?.headId, 1);
    // Not read any further: the window shuts. Time passes in the steps in which the server looks, and a bit more.
    for (let step = 0; step < 8; step++) {
      await publisher.publish("other", "the daemon goes on");
      await clock.advance(STALL_TIMEOUT_MS / 4);
    }
    for (let head = 2; head <= MESSAGES; head++) {
      assert.equal((await subscription.next()).value?.headId, head);
    }
    assert.equal(reasons.length, 1);
    assert.match(reasons[0] ?? "", /took nothing of its answer for 60000 ms; call again to go on/);
    await subscription.close();
  }
  stopping.abort();
  await server.shutdown(0);
  await serving;
  await bus.close();
});
