/**
 * The cases that gRPC libraries test each other with (doc/interop-test-descriptions.md of the gRPC project), written
 * once for every client and every server. Each throws where its expectation is not met.
 */
import assert from "node:assert/strict";
import type { InteropClient, Outcome } from "./interop_client.ts";
import { decodeSum, ECHO_HEADER, ECHO_TRAILER, encodeRequest, Path } from "./messages.ts";

const CANCELLED = 1;
const UNKNOWN = 2;
const DEADLINE_EXCEEDED = 4;
const UNIMPLEMENTED = 12;

const REQUEST_BYTES = [27_182, 8, 1_828, 45_904];
const RESPONSE_BYTES = [31_415, 9, 2_653, 58_979];
/** Long enough for a call to reach its server, short enough to wait for. */
const TIMEOUT_MS = 100;

const MESSAGES = [
  "a plain status",
  "",
  "100 %, %41 and %zz, as they stand",
  "\t\r\n line breaks and white space around \n\t ",
  "in the plane: \u00fc \u2713, and beyond: \u{1f68c}",
  "\u0000\u0001\u007f controls",
];

function assertOk({ code, message }: Outcome): void {
  assert.equal(code, 0, message);
}

/** The echoes that a call asks for, and what must come back. */
const ECHOES = {
  metadata: { [ECHO_HEADER]: "text: with ~ signs", [ECHO_TRAILER]: Uint8Array.of(0, 1, 0x7f, 0xff, 0x2c) },
  assert({ header, trailer }: Outcome): void {
    assert.equal(header[ECHO_HEADER], ECHOES.metadata[ECHO_HEADER]);
    assert.deepEqual(trailer[ECHO_TRAILER], ECHOES.metadata[ECHO_TRAILER]);
  },
};

/** The cases by name. */
export const CASES: Readonly<Record<string, (client: InteropClient) => Promise<void>>> = {
  async empty_unary(client) {
    const answer = await client.unary(Path.EMPTY, new Uint8Array(0)).answer;
    assertOk(answer);
    assert.equal(answer.response?.length, 0);
  },

  async large_unary(client) {
    const answer = await client.unary(Path.UNARY, encodeRequest({ sizes: [314_159] }, 271_828)).answer;
    assertOk(answer);
    assert.equal(answer.response?.length, 314_159);
  },

  async client_streaming(client) {
    const call = client.clientStreaming(Path.INPUT);
    for (const bytes of REQUEST_BYTES) call.send(encodeRequest({}, bytes));
    call.finish();
    const answer = await call.answer;
    assertOk(answer);
    assert.equal(decodeSum(answer.response ?? new Uint8Array(0)), 74_922);
  },

  async server_streaming(client) {
    const call = client.serverStreaming(Path.OUTPUT, encodeRequest({ sizes: RESPONSE_BYTES }));
    for (const bytes of RESPONSE_BYTES) assert.equal((await call.next())?.length, bytes);
    assert.equal(await call.next(), undefined);
    assertOk(await call.outcome());
  },

  async ping_pong(client) {
    const call = client.bidiStreaming(Path.DUPLEX);
    for (const [index, bytes] of REQUEST_BYTES.entries()) {
      const size = RESPONSE_BYTES[index] ?? 0;
      call.send(encodeRequest({ sizes: [size] }, bytes));
      assert.equal((await call.next())?.length, size);
    }
    call.finish();
    assert.equal(await call.next(), undefined);
    assertOk(await call.outcome());
  },

  async empty_stream(client) {
    const call = client.bidiStreaming(Path.DUPLEX);
    call.finish();
    assert.equal(await call.next(), undefined);
    assertOk(await call.outcome());
  },

  async custom_metadata(client) {
    const settings = { metadata: ECHOES.metadata };
    const unary = await client.unary(Path.UNARY, encodeRequest({ sizes: [314_159] }, 271_828), settings)
      .answer;
    assertOk(unary);
    ECHOES.assert(unary);
    const call = client.bidiStreaming(Path.DUPLEX, settings);
    call.send(encodeRequest({ sizes: [314_159] }, 271_828));
    assert.equal((await call.next())?.length, 314_159);
    call.finish();
    const outcome = await call.outcome();
    assertOk(outcome);
    ECHOES.assert(outcome);
  },

  async cancel_after_begin(client) {
    const call = client.clientStreaming(Path.INPUT);
    call.cancel();
    assert.equal((await call.answer).code, CANCELLED);
  },

  async cancel_after_first_response(client) {
    const call = client.bidiStreaming(Path.DUPLEX);
    call.send(encodeRequest({ sizes: [31_415] }, 27_182));
    assert.equal((await call.next())?.length, 31_415);
    call.cancel();
    assert.equal((await call.outcome()).code, CANCELLED);
  },

  async timeout_on_sleeping_server(client) {
    const call = client.bidiStreaming(Path.DUPLEX, { timeoutMs: TIMEOUT_MS });
    // The server answers this with nothing, and sleeps until the next request, which never comes.
    call.send(encodeRequest({}, 27_182));
    assert.equal((await call.outcome()).code, DEADLINE_EXCEEDED);
  },

  async status_code_and_message(client) {
    for (const message of MESSAGES) {
      const request = encodeRequest({ status: { code: UNKNOWN, message } });
      const unary = await client.unary(Path.UNARY, request).answer;
      assert.deepEqual([unary.code, unary.message], [UNKNOWN, message]);
      const call = client.bidiStreaming(Path.DUPLEX);
      call.send(request);
      call.finish();
      const duplex = await call.outcome();
      assert.deepEqual([duplex.code, duplex.message], [UNKNOWN, message]);
    }
  },

  async status_after_responses(client) {
    const call = client.bidiStreaming(Path.DUPLEX);
    call.send(encodeRequest({ sizes: [9] }));
    assert.equal((await call.next())?.length, 9);
    call.send(encodeRequest({ status: { code: UNKNOWN, message: "enough" } }));
    assert.equal(await call.next(), undefined);
    const { code, message } = await call.outcome();
    assert.deepEqual([code, message], [UNKNOWN, "enough"]);
  },

  async unimplemented_method(client) {
    assert.equal((await client.unary(Path.NO_METHOD, encodeRequest({})).answer).code, UNIMPLEMENTED);
  },

  async unimplemented_service(client) {
    assert.equal((await client.unary(Path.NO_SERVICE, encodeRequest({})).answer).code, UNIMPLEMENTED);
  },
};
