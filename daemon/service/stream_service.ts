import { Status, StatusError, type StreamingServerCall } from "@msgbus/grpc/server";
import type { Bus } from "../bus/bus.ts";
import type { BusOf } from "./bus_of.ts";
import { ConsumeCall } from "./consume.ts";
import { PublishStream } from "./publish_stream.ts";
import { statusOfBusError } from "./status.ts";
import type { StreamHandlers } from "./stream_methods.ts";

/** What answers StreamService. `busOf` decides who may do what; `stopping` ends the calls with UNAVAILABLE. */
export function streamHandlers(bus: Bus, stopping: AbortSignal, busOf: BusOf = () => bus): StreamHandlers {
  return {
    async PublishStream(requests, call) {
      await untilEnding(
        call,
        stopping,
        busOf,
        (access, ending) => new PublishStream(bus.node, access, call).run(requests, ending),
      );
    },
    async Consume(requests, call) {
      await untilEnding(
        call,
        stopping,
        busOf,
        (access, ending) => new ConsumeCall(access, call).run(requests, ending),
      );
    },
  };
}

async function untilEnding(
  call: StreamingServerCall,
  stopping: AbortSignal,
  busOf: BusOf,
  run: (access: ReturnType<BusOf>, ending: AbortSignal) => Promise<void>,
): Promise<void> {
  const access = busOf(call);
  const ending = new AbortController();
  const sources = [call.signal, stopping, ...access.revoked === undefined ? [] : [access.revoked]];
  const end = () => ending.abort(sources.find((source) => source.aborted)?.reason);
  // Not AbortSignal.any: signals that outlive the call would keep it in memory.
  for (const source of sources) source.addEventListener("abort", end, { once: true });
  if (sources.some((source) => source.aborted)) end();
  try {
    await run(access, ending.signal);
  } catch (error) {
    throw statusOfBusError(error);
  } finally {
    for (const source of sources) source.removeEventListener("abort", end);
  }
  access.revoked?.throwIfAborted();
  if (stopping.aborted) throw new StatusError(Status.UNAVAILABLE, "the daemon stops: connect again");
}
