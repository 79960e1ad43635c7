import assert from "node:assert/strict";
import { openLog } from "./log.ts";

const NOW = new Date("2026-01-31T12:00:00Z");

function written(format: "text" | "json", level: "info" | "error" = "info") {
  const lines: string[] = [];
  return { lines, log: openLog(level, format, (line) => lines.push(line), () => NOW) };
}

Deno.test("openLog writes one line per record for people, and fills the text in", () => {
  const { lines, log } = written("text");
  log.info("ready on {addresses}, {logs} logs, {unknown}", { addresses: "127.0.0.1:1", logs: 0 });
  log.warn("careful");
  assert.deepEqual(lines, [
    "2026-01-31T12:00:00.000Z INFO ready on 127.0.0.1:1, 0 logs, {unknown}\n",
    "2026-01-31T12:00:00.000Z WARN careful\n",
  ]);
});

Deno.test("openLog writes one JSON object per record for programs, whose own members win", () => {
  const { lines, log } = written("json");
  log.error("{path} failed", { path: "/a.B/C", level: "INFO", message: "fine" });
  assert.deepEqual(lines.map((line) => JSON.parse(line)), [{
    "@timestamp": "2026-01-31T12:00:00.000Z",
    level: "ERROR",
    message: "/a.B/C failed",
    path: "/a.B/C",
  }]);
});

Deno.test("openLog lets no value begin a line of its own, nor speak to the terminal", () => {
  for (const format of ["text", "json"] as const) {
    const { lines, log } = written(format);
    log.info("from {peer}", { peer: "x\n2026-01-31T12:00:00.000Z ERROR forged\x1b[2J\u0085\u2028" });
    assert.equal(lines.length, 1);
    assert.doesNotMatch(lines[0]?.slice(0, -1) ?? "", format === "text" ? /[\p{Cc}\u2028]/u : /\n/);
  }
});

Deno.test("openLog leaves out what is below its level", () => {
  const { lines, log } = written("text", "error");
  log.info("nothing");
  log.warn("nothing");
  log.error("something");
  assert.equal(lines.length, 1);
});
