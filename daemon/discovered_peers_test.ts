import assert from "node:assert/strict";
import { toBinary } from "@bufbuild/protobuf";
import { GrpcServer, listenTcp } from "@msgbus/grpc";
import { HealthResponseSchema, MsgbusService } from "@msgbus/proto";
import { dialFound } from "./discovered_peers.ts";

Deno.test("dialFound shows the token of --peer-token-file to nobody who has shown no certificate", async () => {
  const peerTokenPath = await Deno.makeTempFile();
  await Deno.writeTextFile(peerTokenPath, "secret-token");
  const shown: unknown[] = [];
  const server = new GrpcServer();
  server.method(`/${MsgbusService.typeName}/Health`, {
    kind: "unary",
    handle(_, call) {
      shown.push(call.metadata.get("authorization"));
      return Promise.resolve(
        toBinary(HealthResponseSchema, {
          $typeName: "msgbus.v1.HealthResponse",
          status: "SERVING",
          incarnation: "",
        }),
      );
    },
  });
  const listener = listenTcp({ hostname: "127.0.0.1", port: 0 });
  const serving = server.serve(listener);
  const link = await dialFound(`http://${listener.address}`, { peerTls: undefined, peerTokenPath });
  await link.identify();
  await link.close();
  assert.deepEqual(shown, [undefined]);
  await server.shutdown(0);
  await serving;
  await Deno.remove(peerTokenPath);
});
