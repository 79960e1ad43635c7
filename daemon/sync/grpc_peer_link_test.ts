import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { GrpcServer, listenMemory } from "@msgbus/grpc";
import {
  FetchResponseSchema,
  HealthResponseSchema,
  ListHeadsResponseSchema,
  MsgbusService,
} from "@msgbus/proto";
import { SyncService } from "@msgbus/proto/sync";
import { GrpcPeerLink } from "./grpc_peer_link.ts";
import { MAX_LOGS_OF_PEER } from "./limits.ts";
import { PeerError } from "./peer_link.ts";
import { nodeName } from "./test_node.ts";

/** A server that answers what the tests want, and a link to it. */
async function serve(test: (link: GrpcPeerLink, cut: () => void) => Promise<void>): Promise<void> {
  const server = new GrpcServer();
  const path = (name: string) => `/${MsgbusService.typeName}/${name}`;
  server.method(path("Health"), {
    kind: "unary",
    handle: () => Promise.resolve(toBinary(HealthResponseSchema, create(HealthResponseSchema))),
  });
  server.method(path("ListHeads"), {
    kind: "unary",
    handle: () => {
      const heads = Array.from({ length: MAX_LOGS_OF_PEER + 1 }, () => ({}));
      return Promise.resolve(toBinary(ListHeadsResponseSchema, create(ListHeadsResponseSchema, { heads })));
    },
  });
  server.method(path("Fetch"), {
    kind: "server_streaming",
    async handle(request, call) {
      const bytes = request.length > 40 ? 1 << 20 : 1; // a long topic asks for large messages
      for (let headId = 1n;; headId++) {
        const message = { headId, id: "id", payload: new Uint8Array(bytes) };
        await call.write(toBinary(FetchResponseSchema, create(FetchResponseSchema, { message })));
      }
    },
  });
  server.method(`/${SyncService.typeName}/Sync`, {
    kind: "bidi_streaming",
    async handle(_, call) {
      for (;;) {
        await call.write(new Uint8Array(1)); // and reads nothing
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    },
  });
  const listener = listenMemory();
  const serving = server.serve(listener);
  const streams: { close(): void }[] = [];
  const link = new GrpcPeerLink({
    connect: async (signal) => {
      const stream = await listener.connect(signal);
      streams.push(stream);
      return stream;
    },
    authority: "localhost",
    scheme: "http",
    token: undefined,
  });
  await test(link, () => streams.at(-1)?.close());
  await link.close();
  await server.shutdown(0);
  await serving;
}

Deno.test("GrpcPeerLink takes no more messages than it asked for, nor more bytes than a few at once", async () => {
  await serve(async (link) => {
    assert.equal((await link.fetch("t", nodeName("a"), 1, 100)).length, 100);
    assert.equal((await link.fetch("t".repeat(40), nodeName("a"), 1, 100)).length, 8);
  });
});

Deno.test("GrpcPeerLink refuses a list of more heads than a peer may have", async () => {
  await serve((link) => assert.rejects(link.heads(), /more than 500000 parts/));
});

Deno.test("GrpcPeerLink is one connection: what comes after its loss might be another node", async () => {
  await serve(async (link, cut) => {
    await link.identify();
    cut();
    await assert.rejects(
      async () => {
        for (;;) await link.identify();
      },
      (error) => error instanceof PeerError && error.code === "unreachable",
    );
    await assert.rejects(link.identify(), /the connection to the peer was lost/);
  });
});

Deno.test("GrpcPeerLink gives a session up whose peer reads nothing, whatever it says, before much waits for it", async () => {
  await serve(async (link) => {
    const session = link.sync();
    session.send(new Uint8Array(3 << 20)); // a hello may be long
    let said = 0;
    const saying = (async () => {
      for (; said < 64 << 20; said += 1 << 10) {
        session.send(new Uint8Array(1 << 10));
        if (said % (64 << 10) === 0) await new Promise((resolve) => setTimeout(resolve));
      }
    })();
    await assert.rejects(async () => {
      while (await session.nextBatch() !== null);
    }, { name: "PeerError", code: "refused", message: "the peer does not read what it is asked" });
    assert.ok(said < 4 << 20, `${said} bytes`);
    await saying;
  });
});
