import type { Outcome } from "./simulation.ts";

/** An outcome, for people: what was wrong, and what came before. */
export function report({ seed, shape, published, messages, failures, last, hash }: Outcome): string {
  const { nodes, topology, disaster } = shape;
  const what = `seed ${seed}: ${nodes} nodes, ${topology}, disaster: ${disaster}, ` +
    `${published} published, ${messages} messages between nodes, trace ${hash}`;
  if (failures.length === 0) return `${what}: good`;
  return [
    `${what}: FAILED`,
    ...failures.map((failure) => `  ${failure}`),
    "what happened last:",
    ...last.map((line) => `  ${line}`),
    `replay it: deno task sim --seed ${seed}`,
  ].join("\n");
}
