import assert from "node:assert/strict";
import { Stream } from "./stream.ts";
import { ReceiveWindow } from "./receive_window.ts";
import { StreamTable } from "./stream_table.ts";

Deno.test("StreamTable tells idle, new and closed numbers of both sides apart (RFC 9113 §5.1.1)", () => {
  const table = new StreamTable("server");
  assert.deepEqual([1, 2, 3].map((id) => table.isIdle(id)), [true, true, true]);
  assert.deepEqual([1, 2, 3].map((id) => table.isNewPeerId(id)), [true, false, true]);
  table.notePeerId(5);
  assert.deepEqual([1, 3, 5, 7].map((id) => table.isIdle(id)), [false, false, false, true]);
  assert.deepEqual([1, 3, 5, 7].map((id) => table.isNewPeerId(id)), [false, false, false, true]);
  assert.deepEqual([1, 3, 5].map((id) => table.howClosed(id)), ["skipped", "skipped", "ended"]);
});

Deno.test("StreamTable remembers the last 1,024 resets; older streams count as ended", () => {
  const table = new StreamTable("server");
  for (let n = 0; n < 1_025; n++) {
    table.notePeerId(1 + 2 * n);
    table.noteReset(1 + 2 * n, n % 2 === 0 ? "by us" : "by peer");
  }
  assert.equal(table.howClosed(1), "ended");
  assert.equal(table.howClosed(3), "by peer");
  assert.equal(table.howClosed(5), "by us");
});

Deno.test("StreamTable remembers the last 64 gaps; streams of older ones count as ended", () => {
  const table = new StreamTable("server");
  // Each second number is skipped: 1, 5, 9 …
  for (let n = 0; n < 65; n++) table.notePeerId(3 + 4 * n);
  assert.equal(table.howClosed(1), "ended");
  assert.equal(table.howClosed(5), "skipped");
  for (let n = 0; n < 100; n++) table.notePeerId(3 + 4 * 64 + 2 * (n + 1));
  assert.equal(table.howClosed(5), "skipped", "numbers without a gap push none out");
});

Deno.test("StreamTable gives odd numbers to a client's streams and even ones to a server's (RFC 9113 §5.1.1)", () => {
  const client = new StreamTable("client");
  assert.deepEqual([client.nextLocalId(), client.nextLocalId()], [1, 3]);
  assert.equal(new StreamTable("server").nextLocalId(), 2);
  const stream = new Stream(1, 0, new ReceiveWindow(0));
  client.add(stream);
  assert.equal(client.get(1), stream);
  client.remove(stream);
  assert.equal(client.size, 0);
  assert.equal(client.howClosed(1), "ended");
});
