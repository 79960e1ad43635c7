/** Floods a daemon from a thread of its own, so that whoever measures is not held up by the attacker's work. */
import { flood, FLOODS } from "./flood.ts";

/** What the worker is asked for: this attack for its count, and again and again for that long. */
export interface FloodOrder {
  readonly address: string;
  readonly name: string;
  readonly ms: number;
}

interface WorkerScope {
  onmessage: ((event: MessageEvent<FloodOrder>) => void) | null;
  postMessage(message: unknown): void;
}
const scope = globalThis as unknown as WorkerScope;

scope.onmessage = async ({ data: { address, name, ms } }) => {
  const attack = FLOODS[name];
  const end = performance.now() + ms;
  let connections = 0;
  if (attack !== undefined) {
    do connections += (await flood(address, attack)).connections; while (performance.now() < end);
  }
  scope.postMessage(connections);
};
