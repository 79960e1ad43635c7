import assert from "node:assert/strict";
import { Progress } from "./progress.ts";

function outputOf(isTerminal: boolean) {
  const written: string[] = [];
  return {
    written,
    output: { isTerminal, write: (data: string) => Promise.resolve(void written.push(data)) },
  };
}

Deno.test("Progress draws a bar on a terminal and takes it away", () => {
  const { written, output } = outputOf(true);
  let nowMs = 1_000;
  const progress = new Progress(output, () => nowMs);
  progress.show("replay", 0.5);
  progress.show("replay", 0.6);
  nowMs += 1_000;
  progress.show("replay", 2);
  progress.clear();
  progress.clear();
  assert.deepEqual(written, [
    `\r${"replay".padEnd(30)} [${"#".repeat(15)}${".".repeat(15)}]  50 %`,
    `\r${"replay".padEnd(30)} [${"#".repeat(30)}] 100 %`,
    "\r\x1b[K",
  ]);
});

Deno.test("Progress writes nothing where nobody looks", () => {
  const { written, output } = outputOf(false);
  const progress = new Progress(output, () => 1_000);
  progress.show("replay", 0.5);
  progress.clear();
  assert.deepEqual(written, []);
});
