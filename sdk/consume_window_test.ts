import { fromBinary } from "@bufbuild/protobuf";
import { ConsumeRequestSchema } from "@msgbus/proto/stream";
import assert from "node:assert/strict";
import { ConsumeWindow } from "./consume_window.ts";
import { SDK_LIMITS } from "./limits.ts";

const QUARTER = SDK_LIMITS.consumeWindowMessages / 4;

/** The credit of the next request; undefined at the end. */
async function nextCredit(requests: AsyncGenerator<Uint8Array>): Promise<[number, number] | undefined> {
  const { value, done } = await requests.next();
  if (done === true) return undefined;
  const { credit } = fromBinary(ConsumeRequestSchema, value);
  return [Number(credit?.messages), Number(credit?.bytes)];
}

Deno.test("ConsumeWindow begins with the whole window, and moves on a quarter at a time", async () => {
  const window = new ConsumeWindow({ patterns: ["a"] });
  const requests = window.requests();
  assert.deepEqual(await nextCredit(requests), [
    SDK_LIMITS.consumeWindowMessages,
    SDK_LIMITS.consumeWindowBytes,
  ]);
  const next = nextCredit(requests);
  for (let taken = 0; taken < QUARTER; taken++) window.add(1, 10);
  assert.deepEqual(await next, [QUARTER, QUARTER * 10]);
  const bytes = nextCredit(requests);
  window.add(1, SDK_LIMITS.consumeWindowBytes / 4);
  assert.deepEqual(await bytes, [1, SDK_LIMITS.consumeWindowBytes / 4]);
});

Deno.test("ConsumeWindow forgets nothing that is given back while a request is on its way", async () => {
  const window = new ConsumeWindow({ patterns: ["a"] });
  const requests = window.requests();
  await nextCredit(requests);
  window.add(QUARTER, 0); // nobody has asked for the next request yet
  assert.deepEqual(await nextCredit(requests), [QUARTER, 0]);
});

Deno.test("ConsumeWindow ends its requests, also those that nobody waits for yet", async () => {
  const window = new ConsumeWindow({ patterns: ["a"] });
  const requests = window.requests();
  await nextCredit(requests);
  const waiting = nextCredit(requests);
  window.end();
  assert.equal(await waiting, undefined);
  const ended = new ConsumeWindow({ patterns: ["a"] });
  ended.end();
  const none = ended.requests();
  await nextCredit(none);
  assert.equal(await nextCredit(none), undefined);
});
