import assert from "node:assert/strict";
import { type Status, StatusError } from "@msgbus/grpc";

/** The status with which a call fails. */
export async function statusOf(promise: Promise<unknown>): Promise<{ code: Status; message: string }> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof StatusError) return { code: error.code, message: error.message };
    throw error;
  }
  assert.fail("the call did not fail");
}

/** Settles when what is on its way in memory has arrived. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}
