import type { Connect } from "@msgbus/grpc/server";
import type { Timer } from "../bus/timer.ts";

type ByteStream = Awaited<ReturnType<Connect>>;

/** Milliseconds that an attempt is given before another one is made beside it. */
const NEXT_ATTEMPT_MS = 500;

/**
 * Connects by attempts beside each other, a new one whenever the one before took long; the first that succeeds is taken.
 * The system repeats a lost SYN after 1, 2, 4 … seconds, so that a single attempt can miss for seconds that a link came
 * up again; while waiting for it longer than that is right where the way is long. An attempt that fails ends all.
 */
export function patientConnect(connect: Connect, timer: Timer): Connect {
  return (signal) =>
    new Promise<ByteStream>((resolve, reject) => {
      const attempts = new AbortController();
      let settled = false;
      let cancelNext = () => {};
      const settle = () => {
        settled = true;
        cancelNext();
        signal?.removeEventListener("abort", abort);
      };
      const abort = () => {
        settle();
        attempts.abort(signal?.reason);
        reject(signal?.reason);
      };
      const attempt = () => {
        cancelNext = timer(NEXT_ATTEMPT_MS, attempt);
        // Each has a signal of its own: the one that succeeds must outlive the others.
        const own = new AbortController();
        const follow = () => own.abort(attempts.signal.reason);
        attempts.signal.addEventListener("abort", follow, { once: true });
        connect(own.signal).then((stream) => {
          attempts.signal.removeEventListener("abort", follow);
          if (settled) return stream.close();
          settle();
          attempts.abort(new Error("another attempt was quicker"));
          resolve(stream);
        }, (error) => {
          attempts.signal.removeEventListener("abort", follow);
          if (settled) return;
          settle();
          attempts.abort(error);
          reject(error);
        });
      };
      if (signal?.aborted) return reject(signal.reason);
      signal?.addEventListener("abort", abort, { once: true });
      attempt();
    });
}
