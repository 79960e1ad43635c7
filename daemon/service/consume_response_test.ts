import assert from "node:assert/strict";
import { Message } from "../bus/message.ts";
import { ConsumeResponseEncoder } from "./consume_response.ts";

const ORIGIN = { tenantId: "tenant", blName: "line", deviceId: "local" };

function message(headId: number): Message {
  const payload = new TextEncoder().encode(`payload ${headId}`);
  return new Message("t", ORIGIN, headId, headId, `${headId}`, 1, payload, new Uint8Array(), false);
}

function encode(encoder: ConsumeResponseEncoder, ...messages: Message[]): Uint8Array[] {
  return [...encoder.encode(messages, () => "cursor", true)].map(({ bytes }) => bytes);
}

Deno.test("ConsumeResponseEncoder: consumers that are handed the same messages share what is encoded", () => {
  const messages = [message(1), message(2)];
  const first = encode(new ConsumeResponseEncoder(), ...messages);
  const run = messages[0]?.encodedRun;
  assert.notEqual(run, undefined);
  assert.deepEqual(encode(new ConsumeResponseEncoder(), ...messages), first);
  assert.equal(messages[0]?.encodedRun, run);
  const [alone] = encode(new ConsumeResponseEncoder(), ...messages.slice(0, 1));
  assert.ok((alone?.length ?? 0) < (first[0]?.length ?? 0), "another run is another answer");
});

Deno.test("ConsumeResponseEncoder keeps the last runs only, however many messages there are", () => {
  const encoder = new ConsumeResponseEncoder();
  const messages = Array.from({ length: 100 }, (_, at) => message(at + 1));
  for (const each of messages) encode(encoder, each);
  const kept = messages.filter(({ encodedRun }) => encodedRun !== undefined);
  assert.deepEqual(kept, messages.slice(-32));
});
