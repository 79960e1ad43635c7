import assert from "node:assert/strict";
import { BusError } from "./error.ts";
import { TopicPattern } from "./topic_pattern.ts";

function matches(pattern: string, topic: string): boolean {
  return new TopicPattern(pattern, "topic").matches(topic);
}

/** Pattern, topics it matches, topics it does not. */
const CASES: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ["a", ["a"], ["b", "a.b", "a/b", "A", "a "]],
  ["a.b", ["a.b"], ["a", "a.b.c", "a/b"]],
  ["a.*", ["a.b", "a.", "a.b/c"], ["a", "a.b.c", "b.a"]],
  ["a.*.c", ["a.b.c", "a..c"], ["a.c", "a.b.b.c", "a.b.d"]],
  ["*", ["a", "a/b"], ["a.b", "$a"]],
  ["*.b", ["a.b"], ["b", "$a.b"]],
  ["a.>", ["a.b", "a.b.c", "a."], ["a", "ab", "b.a"]],
  [">", ["a", "a.b", "a/b"], ["$msgbus.delete"]],
  ["*.>", ["a.b"], ["a", "$msgbus.delete"]],
  ["$msgbus.>", ["$msgbus.delete"], ["$msgbus", "msgbus.delete"]],
  ["a/b", ["a/b"], ["a", "a.b"]],
  ["a/+", ["a/b", "a/", "a/b.c"], ["a", "a/b/c"]],
  ["a/+/c", ["a/b/c", "a//c"], ["a/c", "a/b/b/c"]],
  ["+", ["a", "a.b"], ["a/b", "$a"]],
  ["a/#", ["a", "a/b", "a/b/c"], ["ab", "b/a"]],
  ["#", ["a", "a/b", "a.b"], ["$SYS/a"]],
  ["+/#", ["a", "a/b"], ["$SYS/a"]],
  ["$SYS/#", ["$SYS", "$SYS/a"], ["SYS/a"]],
  ["/a", ["/a"], ["a"]],
  ["+/a", ["/a", "b/a"], ["a"]],
  ["a+b.c", ["a+b.c"], ["a.c"]],
];

Deno.test("TopicPattern matches whole levels, in the dialect of its separator", () => {
  for (const [pattern, yes, no] of CASES) {
    for (const topic of yes) assert(matches(pattern, topic), `"${pattern}" must match "${topic}"`);
    for (const topic of no) assert(!matches(pattern, topic), `"${pattern}" must not match "${topic}"`);
  }
});

Deno.test("TopicPattern refuses what can only be a mistake, and says what to write", () => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ["", /it is empty/],
    ["a\0", /NUL/],
    ["a.>.b", /">" must come last/],
    ["a/#/b", /"#" must come last/],
    ["a.b*", /whole level/],
    ["a->b", /whole level/],
    ["a/b+", /whole level/],
    ["a.+", /"\+" goes with "\/"; write "\*"/],
    ["a.#", /"#" goes with "\/"; write ">"/],
    ["a/*", /"\*" goes with "\."; write "\+"/],
    ["a/>", /">" goes with "\."; write "#"/],
  ];
  for (const [pattern, reason] of refused) {
    assert.throws(
      () => new TopicPattern(pattern, "allow.publish"),
      (error) =>
        error instanceof BusError && error.code === "invalid_argument" && error.field === "allow.publish" &&
        reason.test(error.message),
      pattern,
    );
  }
});

Deno.test("TopicPattern.wild tells a pattern from a name", () => {
  assert(!new TopicPattern("a.b", "topic").wild);
  assert(!new TopicPattern("a/b", "topic").wild);
  for (const pattern of ["a.*", ">", "a/#", "+"]) assert(new TopicPattern(pattern, "topic").wild, pattern);
});
