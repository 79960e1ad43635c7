import type { OnceRefusal } from "../store/store.ts";
import { BusError } from "./error.ts";

/** What a message is refused with that can't be stored once. `sequence` is the producer's, of a message that has one. */
export function onceRefusal(
  reason: OnceRefusal["reason"],
  { topic, key = "" }: { readonly topic: string; readonly key?: string | undefined },
  sequence: number,
): BusError {
  switch (reason) {
    case "key_conflict":
      return new BusError(
        "failed_precondition",
        `Cannot publish to "${topic}" with the idempotency key "${key}": another payload or other headers were stored ` +
          "with it; give each message a key of its own",
      );
    case "sequence_conflict":
      return new BusError(
        "failed_precondition",
        `Cannot publish sequence ${sequence} to "${topic}": another topic, payload or other headers were stored with ` +
          "it; number each message anew",
      );
    case "forgotten":
      return new BusError(
        "failed_precondition",
        `Cannot publish sequence ${sequence} to "${topic}": the producer's last one is not below it, and nothing is ` +
          "known to be stored with it (any more); look whether it is, before you publish it with a new one",
      );
  }
}
