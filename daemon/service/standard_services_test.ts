/** What gRPC tools see of the daemon's own services, over a real bus. */
import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { Channel, GrpcServer, listenMemory, StatusError } from "@msgbus/grpc";
import { fieldViolations } from "@msgbus/grpc/error_details";
import { FetchRequestSchema, PublishRequestSchema } from "@msgbus/proto";
import { Bus } from "../bus/bus.ts";
import { MemoryStore } from "../store/memory/store.ts";
import { StoreError } from "../store/store.ts";
import { serveMsgbus } from "./msgbus_service.ts";
import { serveStandardServices } from "./standard_services.ts";

const NODE = { tenantId: "tenant", blName: "default", deviceId: "device" };
/** HealthCheckResponse with the status SERVING, and with NOT_SERVING. */
const [SERVING, NOT_SERVING] = [Uint8Array.of(8, 1), Uint8Array.of(8, 2)];

/** A store that fails when it is told to. */
class FailingStore extends MemoryStore {
  failing = false;

  override check(): Promise<void> {
    return this.failing ? Promise.reject(new StoreError("broken", "the disk is gone")) : super.check();
  }
}

async function fixture(): Promise<{ store: FailingStore; channel: Channel; stop: () => Promise<void> }> {
  const store = new FailingStore();
  const bus = await Bus.open({ store, node: NODE, clock: () => 0, random: () => {} });
  const server = new GrpcServer();
  const listener = listenMemory();
  serveMsgbus(server, bus, new AbortController().signal);
  const health = serveStandardServices(server, bus);
  const serving = server.serve(listener);
  const channel = new Channel(() => listener.connect());
  return {
    store,
    channel,
    stop: async () => {
      health.stop();
      await channel.close();
      await server.shutdown(0);
      await serving;
      await bus.close();
      await store.close();
    },
  };
}

Deno.test("grpc.health.v1.Health follows the store", async () => {
  const { store, channel, stop } = await fixture();
  const check = () => channel.unary("/grpc.health.v1.Health/Check", new Uint8Array());
  assert.deepEqual(await check(), SERVING);
  store.failing = true;
  assert.deepEqual(await check(), NOT_SERVING);
  store.failing = false;
  assert.deepEqual(await check(), SERVING);
  await stop();
});

Deno.test("google.rpc.BadRequest names the field of a bad request, in unary and streaming calls", async () => {
  const { channel, stop } = await fixture();
  const fieldsOf = (error: unknown) =>
    error instanceof StatusError
      ? fieldViolations(error).map(({ field }) => field)
      : assert.fail(String(error));
  const publish = toBinary(PublishRequestSchema, create(PublishRequestSchema, { topic: " " }));
  const published = await channel.unary("/msgbus.v1.MsgbusService/Publish", publish).catch(fieldsOf);
  assert.deepEqual(published, ["topic"]);
  const fetch = toBinary(
    FetchRequestSchema,
    create(FetchRequestSchema, { topic: "a", origin: { tenantId: "t", blName: "", deviceId: "d" } }),
  );
  const fetched = await channel.serverStreaming("/msgbus.v1.MsgbusService/Fetch", fetch).nextBatch().catch(
    fieldsOf,
  );
  assert.deepEqual(fetched, ["origin.bl_name"]);
  await stop();
});
