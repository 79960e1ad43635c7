import assert from "node:assert/strict";
import { type Reply, RespParser } from "./resp_parser.ts";

const TEXT = "+OK\r\n:-12\r\n$5\r\nab\r\nc\r\n$-1\r\n*-1\r\n*0\r\n" +
  "*1\r\n*2\r\n$6\r\nstream\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nd\r\n$0\r\n\r\n";
const REPLIES = ["OK", -12, "ab\r\nc", null, null, [], [["stream", [["1-0", ["d", ""]]]]]];

function plain(reply: Reply): unknown {
  if (reply instanceof Uint8Array) return new TextDecoder().decode(reply);
  return Array.isArray(reply) ? reply.map(plain) : reply;
}

Deno.test("RespParser gives the same replies whole, cut at every byte, and byte by byte", () => {
  const bytes = new TextEncoder().encode(TEXT);
  assert.deepEqual(new RespParser().push(bytes).map(plain), REPLIES);
  for (let cut = 1; cut < bytes.length; cut++) {
    const parser = new RespParser();
    const replies = [...parser.push(bytes.slice(0, cut)), ...parser.push(bytes.slice(cut))];
    assert.deepEqual(replies.map(plain), REPLIES, `cut at ${cut}`);
  }
  const parser = new RespParser();
  assert.deepEqual([...bytes].flatMap((byte) => parser.push(Uint8Array.of(byte))).map(plain), REPLIES);
});

Deno.test("RespParser gives errors as replies and throws at what is none", () => {
  const parser = new RespParser();
  const [error] = parser.push(new TextEncoder().encode("-ERR unknown command\r\n"));
  assert.ok(error instanceof Error);
  assert.equal(error.message, "ERR unknown command");
  assert.throws(() => parser.push(new TextEncoder().encode("?\r\n")), /a reply of kind 63/);
});
