/** A gRPC server whose one method streams 100-byte messages as fast as its client takes them. Prints its address; ends with its input. */
import { FramedMessage, GrpcServer, listenTcp } from "@msgbus/grpc";

const MESSAGE_BYTES = 100;

const listener = listenTcp({ hostname: "127.0.0.1", port: 0 });
const server = new GrpcServer().method("/bench.Bench/Stream", {
  kind: "server_streaming",
  handle: async (request, call) => {
    const count = new DataView(request.buffer, request.byteOffset).getUint32(0);
    const message = new Uint8Array(MESSAGE_BYTES);
    for (let i = 0; i < count; i++) {
      if (!call.send(FramedMessage.of(message))) await call.ready();
    }
  },
});
const serving = server.serve(listener);
console.log(listener.address);
for await (const _ of Deno.stdin.readable) {
  // Nothing is said: the end of the input is what counts.
}
await server.shutdown(0);
await serving;
