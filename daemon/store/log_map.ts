import type { NodeName } from "./store.ts";

/**
 * A map from topic and origin to something. Two levels, because nearly all lookups have the same origin object as the
 * one before: then a lookup costs one comparison and one hash of the topic, no new string.
 */
export class LogMap<T> {
  readonly #byNode = new Map<string, Map<string, T>>();
  #lastOrigin: NodeName | undefined;
  #lastTopics: Map<string, T> | undefined;
  #size = 0;

  /** How many logs are in the map. */
  get size(): number {
    return this.#size;
  }

  get(topic: string, origin: NodeName): T | undefined {
    return this.#topics(origin)?.get(topic);
  }

  set(topic: string, origin: NodeName, value: T): void {
    let topics = this.#topics(origin);
    if (topics === undefined) {
      topics = new Map();
      this.#byNode.set(nodeKey(origin), topics);
      this.#lastOrigin = undefined;
    }
    if (!topics.has(topic)) this.#size++;
    topics.set(topic, value);
  }

  delete(topic: string, origin: NodeName): boolean {
    const topics = this.#topics(origin);
    if (topics === undefined || !topics.delete(topic)) return false;
    this.#size--;
    if (topics.size === 0) {
      this.#byNode.delete(nodeKey(origin));
      this.#lastOrigin = undefined;
    }
    return true;
  }

  /** Those of one node. */
  *valuesOf(origin: NodeName): IterableIterator<T> {
    yield* this.#topics(origin)?.values() ?? [];
  }

  *values(): IterableIterator<T> {
    for (const topics of this.#byNode.values()) yield* topics.values();
  }

  #topics(origin: NodeName): Map<string, T> | undefined {
    if (origin === this.#lastOrigin) return this.#lastTopics;
    const topics = this.#byNode.get(nodeKey(origin));
    if (topics !== undefined) {
      this.#lastOrigin = origin;
      this.#lastTopics = topics;
    }
    return topics;
  }
}

/** Parts may contain any character, so the lengths say where each one ends. */
function nodeKey(node: NodeName): string {
  return `${node.tenantId.length}:${node.tenantId}${node.blName.length}:${node.blName}${node.deviceId}`;
}
