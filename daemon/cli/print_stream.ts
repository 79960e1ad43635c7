import type { MessageStream } from "@msgbus/sdk";
import type { CliIo } from "./io.ts";
import type { Printer } from "./printer.ts";

/** Prints a stream to its end, to an interrupt, or to `count` messages. Returns how many were printed. */
export async function printStream(
  stream: MessageStream,
  printer: Printer,
  io: CliIo,
  count: number,
  afterBatch: (lastHead: number) => Promise<void> = async () => {},
): Promise<number> {
  const forget = io.onInterrupt(() => stream.close());
  let printed = 0;
  try {
    while (printed < count) {
      const batch = await stream.nextBatch();
      if (batch === null) break;
      const wanted = batch.slice(0, count - printed);
      await printer.printMessages(wanted);
      printed += wanted.length;
      const last = wanted[wanted.length - 1];
      if (last !== undefined) await afterBatch(last.headId);
    }
    return printed;
  } finally {
    forget();
    stream.close();
  }
}
