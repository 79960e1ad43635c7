import type { LogFormat, LogLevel } from "./config/config.ts";

/** What a record says beside its text; programs get it as it is. */
export type LogProperties = Readonly<Record<string, string | number | boolean>>;

/**
 * Writes records of what happens. `{name}` in a text stands for the property of that name. Our own: a logging library
 * costs the idle daemon 3.5 MB of resident memory, mostly for parts of Node that it loads.
 */
export type Logger = Readonly<Record<LogLevel, (text: string, properties?: LogProperties) => void>>;

const LEVELS: readonly LogLevel[] = ["trace", "debug", "info", "warn", "error"];

/**
 * The daemon's log, from a level on. `write` is called once per record, with one line, and has written it when it
 * returns: what a daemon says last must not be lost with it.
 */
export function openLog(
  level: LogLevel,
  format: LogFormat,
  write: (line: string) => void,
  now: () => Date = () => new Date(),
): Logger {
  const line = format === "json" ? jsonLine : textLine;
  const writer = (of: LogLevel) => (text: string, properties: LogProperties = {}) => {
    if (LEVELS.indexOf(of) >= LEVELS.indexOf(level)) write(line(now(), of, text, properties));
  };
  return Object.fromEntries(LEVELS.map((of) => [of, writer(of)])) as Logger;
}

/** `2026-01-31T12:00:00.000Z WARN the text`, in one line whatever the values contain. */
function textLine(time: Date, level: LogLevel, text: string, properties: LogProperties): string {
  return `${time.toISOString()} ${level.toUpperCase()} ${oneLine(filled(text, properties))}\n`;
}

/** The members of a record come first: a property never takes their place. */
function jsonLine(time: Date, level: LogLevel, text: string, properties: LogProperties): string {
  const record = {
    "@timestamp": time.toISOString(),
    level: level.toUpperCase(),
    message: filled(text, properties),
  };
  return `${JSON.stringify({ ...record, ...properties, ...record })}\n`;
}

function filled(text: string, properties: LogProperties): string {
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(properties[name] ?? whole));
}

/** Control characters as JSON may write them: a value from outside must not look like a record, nor speak to a terminal. */
function oneLine(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (char) => char === "\n" ? "\\n" : `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
