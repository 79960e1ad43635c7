import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { Status, StatusError } from "@msgbus/grpc";
import { HealthResponseSchema, ReadyResponseSchema } from "@msgbus/proto";
import fc from "fast-check";
import { healthResponse, readEmptyRequest, readyResponse } from "./probes.ts";

const text = fc.string({ unit: "binary", maxLength: 200 }).filter((value) => value.isWellFormed());
const node = fc.record({ tenantId: text, blName: text, deviceId: text });

Deno.test("healthResponse writes what the generated code writes", () => {
  fc.assert(fc.property(node, text, (node, incarnation) => {
    const expected = create(HealthResponseSchema, { status: "SERVING", node, incarnation });
    assert.deepEqual(healthResponse(node, incarnation), toBinary(HealthResponseSchema, expected));
  }));
});

Deno.test("readyResponse writes what the generated code writes", () => {
  fc.assert(fc.property(fc.boolean(), text, node, text, (ready, error, node, durability) => {
    const expected = create(ReadyResponseSchema, {
      ready,
      status: ready ? "READY" : "NOT_READY",
      error: ready ? "" : error,
      node,
      durability,
    });
    const state = ready ? { ready } : { ready, error };
    assert.deepEqual(readyResponse(state, node, durability), toBinary(ReadyResponseSchema, expected));
  }));
});

Deno.test("readEmptyRequest skips fields that it does not know, and refuses what is cut", () => {
  const fields = [[0x08, 1], [0x0d, 1, 2, 3, 4], [0x12, 1, 0x61], [0x19, 1, 2, 3, 4, 5, 6, 7, 8]].flat();
  for (const bytes of [[], fields]) readEmptyRequest(Uint8Array.from(bytes), "msgbus.v1.HealthRequest");
  assert.throws(() => readEmptyRequest(Uint8Array.of(0x0a, 2, 0x61), "msgbus.v1.HealthRequest"), (error) => {
    assert.ok(error instanceof StatusError);
    assert.equal(error.code, Status.INVALID_ARGUMENT);
    assert.equal(error.message, "Cannot read the request: it is no msgbus.v1.HealthRequest");
    return true;
  });
});
