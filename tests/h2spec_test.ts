/**
 * The HTTP/2 core against h2spec (github.com/summerwind/h2spec), over the sessions that the gRPC server and channels
 * use. Where its programs are not on PATH, the tests say in a line how to get them, and check nothing.
 */
import assert from "node:assert/strict";
import { systemClock } from "../grpc/clock.ts";
import type { Http2Event } from "../grpc/http2/event.ts";
import { DEFAULT_GRPC_LIMITS } from "../grpc/limits.ts";
import { GrpcServer } from "../grpc/server.ts";
import { Session } from "../grpc/session.ts";
import type { ByteStream, Listener } from "../grpc/transport/byte_stream.ts";
import { listenTcp } from "../grpc/transport/tcp.ts";

const CLIENT = new URL("interop/h2spec_client.ts", import.meta.url).pathname;
/** The first of the ports that h2specd listens on, one for each of its cases. */
const FIRST_CLIENT_PORT = 31_700;
const BODY = new TextEncoder().encode("a plain answer, longer than the windows of the examiner\n");

/** Answers every request with 200 and a body. */
async function servePlainly(listener: Listener): Promise<void> {
  const running = new Set<Promise<unknown>>();
  for (let stream = await listener.accept(); stream !== null; stream = await listener.accept()) {
    const session = answerPlainly(stream);
    running.add(session);
    void session.then(() => running.delete(session));
  }
  await Promise.all(running);
}

function answerPlainly(stream: ByteStream): Promise<unknown> {
  const answer = (streamId: number) => {
    session.connection.respond(streamId, [{ name: ":status", value: "200" }]);
    session.connection.data(streamId, BODY);
    session.connection.end(streamId);
  };
  const onEvent = (event: Http2Event) => {
    if (event.type === "data") session.connection.consume(event.streamId, event.bytes.length);
    if (
      event.type === "trailers" || ((event.type === "headers" || event.type === "data") && event.endStream)
    ) {
      answer(event.streamId);
    }
    session.flushSoon();
  };
  const session = new Session("server", stream, DEFAULT_GRPC_LIMITS, systemClock, onEvent, (error) => {
    throw error;
  });
  return session.run();
}

/** The report of a program, or undefined where there is no such program. */
async function examine(program: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const { stdout } = await new Deno.Command(program, { args: [...args], stderr: "inherit" }).output();
    return new TextDecoder().decode(stdout);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log(
      `skipped: no ${program} on PATH; go install github.com/summerwind/h2spec/cmd/${program}@latest`,
    );
    return undefined;
  }
}

function assertPassed(report: string, leastTests: number): void {
  const summary = /(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed/.exec(report);
  assert.ok(summary !== null, report);
  const [, tests, passed] = summary.map(Number);
  assert.ok((tests ?? 0) >= leastTests, `only ${tests} tests ran`);
  assert.equal(passed, tests, report.slice(report.indexOf("Failures")));
}

Deno.test("h2spec -S passes whole against a server with a plain answer", async () => {
  const listener = listenTcp({ hostname: "127.0.0.1", port: 0 });
  const serving = servePlainly(listener);
  const port = listener.address.split(":")[1] ?? "";
  const report = await examine("h2spec", ["--strict", "--host", "127.0.0.1", "--port", port]);
  listener.close();
  await serving;
  if (report !== undefined) assertPassed(report, 146);
});

Deno.test("h2spec -S passes whole against the gRPC server, which its requests are no calls for", async () => {
  const listener = listenTcp({ hostname: "127.0.0.1", port: 0 });
  const server = new GrpcServer();
  const serving = server.serve(listener);
  const port = listener.address.split(":")[1] ?? "";
  const report = await examine("h2spec", ["--strict", "--host", "127.0.0.1", "--port", port]);
  await server.shutdown(0);
  await serving;
  if (report !== undefined) assertPassed(report, 146);
});

Deno.test("h2specd -S passes whole against a client", async () => {
  const report = await examine("h2specd", [
    "--strict",
    "--host",
    "127.0.0.1",
    "--from-port",
    String(FIRST_CLIENT_PORT),
    "--exec",
    `${Deno.execPath()} run -A ${CLIENT}`,
  ]);
  if (report !== undefined) assertPassed(report, 57);
});
