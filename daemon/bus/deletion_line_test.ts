import assert from "node:assert/strict";
import { DeletionLine } from "./deletion_line.ts";

const LIMITS = { deletedHeads: 10, deletedBytes: 1_000 };

/** Deletions that end when the test says so. */
function heldDeletions(line: DeletionLine) {
  const begun: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const run = (name: string, heads: number, bytes = 0) =>
    line.run({ heads, bytes }, () => {
      begun.push(name);
      return new Promise<string>((resolve, reject) =>
        ends.set(name, (error) => error === undefined ? resolve(name) : reject(error))
      );
    });
  return { begun, run, end: (name: string, error?: Error) => ends.get(name)?.(error) };
}

Deno.test("DeletionLine lets short deletions go together, long ones alone, and all in their order", async () => {
  const { begun, run, end } = heldDeletions(new DeletionLine(LIMITS));
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

Deno.test("DeletionLine lets no more bytes go together than its limit, and what has more alone", async () => {
  const { begun, run, end } = heldDeletions(new DeletionLine(LIMITS));
  const first = [run("a", 1, 600), run("b", 1, 400)];
  const large = run("large", 1, 5_000);
  const last = [run("c", 1, 1_000), run("d", 1, 0), run("e", 1, 1)];
  assert.deepEqual(begun, ["a", "b"]);
  end("a");
  end("b");
  await Promise.all(first);
  assert.deepEqual(begun, ["a", "b", "large"]);
  end("large");
  await large;
  assert.deepEqual(begun.slice(3), ["c", "d"]);
  end("c");
  await last[0];
  assert.deepEqual(begun.slice(5), ["e"]);
  end("d");
  end("e");
  await Promise.all(last);
});

Deno.test("DeletionLine goes on behind a deletion that fails", async () => {
  const { begun, run, end } = heldDeletions(new DeletionLine(LIMITS));
  const failing = run("a", 10);
  const next = run("b", 10);
  end("a", new Error("the disk is full"));
  await assert.rejects(failing, /the disk is full/);
  assert.deepEqual(begun, ["a", "b"]);
  end("b");
  assert.equal(await next, "b");
});
