import assert from "node:assert/strict";
import { DeletionLine } from "./deletion_line.ts";

/** Deletions that end when the test says so. */
function heldDeletions(line: DeletionLine) {
  const begun: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const run = (name: string, heads: number) =>
    line.run(heads, () => {
      begun.push(name);
      return new Promise<string>((resolve, reject) =>
        ends.set(name, (error) => error === undefined ? resolve(name) : reject(error))
      );
    });
  return { begun, run, end: (name: string, error?: Error) => ends.get(name)?.(error) };
}

Deno.test("DeletionLine lets short deletions go together, long ones alone, and all in their order", async () => {
  const { begun, run, end } = heldDeletions(new DeletionLine(10));
  const first = [run("a", 4), run("b", 6)];
  assert.deepEqual(begun, ["a", "b"], "at once");
  const long = run("long", 99);
  const last = run("c", 0);
  end("a");
  await first[0];
  assert.deepEqual(begun, ["a", "b"]);
  end("b");
  await first[1];
  assert.deepEqual(begun, ["a", "b", "long"], "and nothing beside it, nor before it");
  end("long");
  assert.equal(await long, "long");
  end("c");
  assert.equal(await last, "c");
});

Deno.test("DeletionLine goes on behind a deletion that fails", async () => {
  const { begun, run, end } = heldDeletions(new DeletionLine(10));
  const failing = run("a", 10);
  const next = run("b", 10);
  end("a", new Error("the disk is full"));
  await assert.rejects(failing, /the disk is full/);
  assert.deepEqual(begun, ["a", "b"]);
  end("b");
  assert.equal(await next, "b");
});
