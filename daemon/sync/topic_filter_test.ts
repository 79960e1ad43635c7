import assert from "node:assert/strict";
import { TopicFilter } from "./topic_filter.ts";

Deno.test("TopicFilter passes what is included and not excluded, and the bus's own topics always", () => {
  const filter = new TopicFilter(["a.>", "b"], ["a.raw.>"]);
  const passes = ["a.b", "b", "$msgbus.delete"];
  const not = ["a", "a.raw.x", "c"];
  assert.deepEqual([...passes, ...not].filter((topic) => filter.passes(topic)), passes);
  assert.ok(new TopicFilter([], []).passes("anything"));
  assert.ok(!new TopicFilter([], [">"]).passes("anything"));
});

Deno.test("TopicFilter.text is the same for the same filter, and no other", () => {
  assert.equal(new TopicFilter(["a", "b"], ["c"]).text, new TopicFilter(["b", "a"], ["c"]).text);
  assert.notEqual(new TopicFilter(["a"], []).text, new TopicFilter([], ["a"]).text);
  assert.equal(new TopicFilter([], []).text, "");
});
