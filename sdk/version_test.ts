import assert from "node:assert/strict";
import { VERSION } from "./version.ts";

Deno.test("VERSION is the version of the package", async () => {
  const { version } = JSON.parse(await Deno.readTextFile(new URL("deno.json", import.meta.url)));
  assert.equal(VERSION, version);
});
