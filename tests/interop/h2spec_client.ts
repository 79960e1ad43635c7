/**
 * The client that h2specd examines: asks for "/" at the URL that is its argument, over the session that a channel uses,
 * and stays until the server ends the connection.
 */
import { systemClock } from "../../grpc/clock.ts";
import { DEFAULT_GRPC_LIMITS } from "../../grpc/limits.ts";
import { Session } from "../../grpc/session.ts";
import { connectTcp } from "../../grpc/transport/tcp.ts";

const url = new URL(Deno.args[0] ?? "");
const connect = connectTcp({ hostname: url.hostname, port: Number(url.port) });
const stream = await connect(AbortSignal.timeout(2_000));
// The examiner leaves failed connections open: a second each would be a minute in all.
const limits = { ...DEFAULT_GRPC_LIMITS, closeTimeoutMs: 20 };
const session = new Session("client", stream, limits, systemClock, (event) => {
  if (event.type === "data") session.connection.consume(event.streamId, event.bytes.length);
  session.flushSoon();
}, (error) => {
  throw error;
});
session.connection.request([
  { name: ":method", value: "GET" },
  { name: ":scheme", value: "http" },
  { name: ":path", value: "/" },
  { name: ":authority", value: url.host },
], true);
await session.run();
