import assert from "node:assert/strict";
import {
  CHECKPOINT_BYTES,
  CHECKPOINT_RETRY_MS,
  SHORT_CHECKPOINT_MS,
  SMALL_CHECKPOINT_BYTES,
} from "./limits.ts";
import { WriteAheadLog } from "./write_ahead_log.ts";

Deno.test("WriteAheadLog is due for a checkpoint by its bytes, and again only after as many more", () => {
  const log = new WriteAheadLog(false);
  log.grew(100);
  assert.equal(log.checkpointDue(0), false);
  log.grew(CHECKPOINT_BYTES);
  assert.equal(log.checkpointDue(0), true);
  log.checkpointed(false, 0);
  assert.equal(log.checkpointDue(0), false);
});

Deno.test("WriteAheadLog is due soon where checkpoints are short, and later where they are long", () => {
  const log = new WriteAheadLog(false);
  const dueAfter = () =>
    [SMALL_CHECKPOINT_BYTES, CHECKPOINT_BYTES - SMALL_CHECKPOINT_BYTES].map((bytes) => {
      log.grew(bytes);
      return log.checkpointDue(0);
    });
  assert.deepEqual(dueAfter(), [true, true]);
  log.checkpointed(false, 5 * SHORT_CHECKPOINT_MS);
  assert.deepEqual(dueAfter(), [false, true]);
  // Four times the bytes may take four times as long.
  log.checkpointed(false, 3 * SHORT_CHECKPOINT_MS);
  assert.deepEqual(dueAfter(), [true, true]);
});

Deno.test("WriteAheadLog stays due after a failed checkpoint, but not before a pause", () => {
  const log = new WriteAheadLog(false);
  log.grew(CHECKPOINT_BYTES);
  log.checkpointFailed(50);
  assert.equal(log.checkpointDue(50 + CHECKPOINT_RETRY_MS - 1), false);
  assert.equal(log.checkpointDue(50 + CHECKPOINT_RETRY_MS), true);
});

Deno.test("WriteAheadLog remembers an erasure until the log was emptied", () => {
  const log = new WriteAheadLog(false);
  assert.equal(log.erasureDue, false);
  log.requireErasure();
  log.checkpointed(false, 0);
  assert.equal(log.erasureDue, true);
  assert.equal(log.checkpointDue(0), true);
  log.checkpointed(true, 0);
  assert.equal(log.erasureDue, false);
  assert.equal(log.checkpointDue(0), false);
  assert.equal(new WriteAheadLog(true).checkpointDue(0), true, "left by an earlier process");
});
