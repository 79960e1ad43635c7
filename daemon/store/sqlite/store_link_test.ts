import assert from "node:assert/strict";
import { StoreError } from "../error.ts";
import { readNothing } from "./answer.ts";
import { StoreLink } from "./store_link.ts";
import { TestFolder } from "./test_folder.ts";

const folder = new TestFolder();

Deno.test("StoreLink fails pending and later calls with broken when its thread crashes", async () => {
  const { link } = await StoreLink.open({ path: folder.file("crash.sqlite"), durability: "full" });
  const broken = (error: unknown) => error instanceof StoreError && error.code === "broken";
  // No such operation: the thread takes this for the defect that it is, and ends.
  const request = (call: number) => Uint8Array.of(5, 0, 0, 0, 255, call, 0, 0, 0);
  const calls = [link.call(request, readNothing), link.call(request, readNothing)];
  for (const call of calls) await assert.rejects(call, broken);
  await assert.rejects(link.call(request, readNothing), broken);
  link.end();
});
