import {
  configureSync,
  getJsonLinesFormatter,
  getLogger,
  getTextFormatter,
  type Logger,
  type LogLevel as LogtapeLevel,
} from "@logtape/logtape";
import type { LogFormat, LogLevel } from "./config/config.ts";

const LEVELS = {
  trace: "trace",
  debug: "debug",
  info: "info",
  warn: "warning",
  error: "error",
} satisfies Record<LogLevel, LogtapeLevel>;

/**
 * Sets up the daemon's log and returns it. `write` is called once per line, and has written it when it returns: what a
 * daemon says last must not be lost with it.
 */
export function openLog(level: LogLevel, format: LogFormat, write: (line: string) => void): Logger {
  const formatter = format === "json" ? getJsonLinesFormatter({ properties: "flatten" }) : getTextFormatter({
    timestamp: "rfc3339",
    value: (value) => typeof value === "string" ? value : String(value),
  });
  const sink = (record: Parameters<typeof formatter>[0]) => write(formatter(record));
  configureSync({
    reset: true,
    sinks: { line: sink },
    loggers: [
      { category: "msgbusd", sinks: ["line"], lowestLevel: LEVELS[level] },
      { category: ["logtape", "meta"], sinks: ["line"], lowestLevel: "warning" },
    ],
  });
  return getLogger("msgbusd");
}
