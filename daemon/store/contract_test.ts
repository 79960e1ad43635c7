import { copyFileSync, existsSync } from "node:fs";
import { testStoreContract } from "./contract.ts";
import { MemoryStore } from "./memory/store.ts";
import { SqliteStore } from "./sqlite/store.ts";
import { TestFolder } from "./sqlite/test_folder.ts";
import {
  type AppendingProducer,
  type DedupLimits,
  DEFAULT_DEDUP_LIMITS,
  type NewMessage,
  type NodeName,
  type OnceMessage,
  type ReplicatedBatch,
  type Store,
} from "./store.ts";
import { testOnceContract } from "./test_once_contract.ts";
import { type CopiedStore, testOpeningContract } from "./test_opening_contract.ts";
import { testReplicationContract } from "./test_replication_contract.ts";
import { testSequenceContract } from "./test_sequence_contract.ts";

/** A store in memory whose writes of messages can be done again in a copy. */
class RepeatableStore extends MemoryStore {
  readonly #writes: { readonly opening: string; readonly write: (store: MemoryStore) => void }[] = [];
  #own: string;

  constructor(incarnation?: string, dedup?: DedupLimits) {
    const opening = crypto.randomUUID();
    super(incarnation, dedup, opening);
    this.#own = opening;
  }

  copy(): RepeatableStore {
    const copy = new RepeatableStore(this.incarnation, DEFAULT_DEDUP_LIMITS);
    for (const { opening, write } of this.#writes) {
      if (opening !== copy.#own) copy.reopen(opening);
      write(copy);
    }
    copy.reopen(crypto.randomUUID());
    return copy;
  }

  override reopen(opening: string): void {
    super.reopen(this.#own = opening);
  }

  override append(batch: readonly NewMessage[]) {
    return this.#write((store) => store.append(batch), super.append(batch));
  }

  override appendOnce(batch: readonly OnceMessage[], producer?: AppendingProducer) {
    return this.#write((store) => store.appendOnce(batch, producer), super.appendOnce(batch, producer));
  }

  override deleteRange(topic: string, origin: NodeName, from: number, to: number, marker: NewMessage) {
    return this.#write(
      (store) => store.deleteRange(topic, origin, from, to, marker),
      super.deleteRange(topic, origin, from, to, marker),
    );
  }

  override replicate(batch: ReplicatedBatch) {
    return this.#write((store) => store.replicate(batch), super.replicate(batch));
  }

  override archive(topic: string, origin: NodeName, forgetDeletes?: boolean) {
    return this.#write(
      (store) => store.archive(topic, origin, forgetDeletes),
      super.archive(topic, origin, forgetDeletes),
    );
  }

  #write<T>(write: (store: MemoryStore) => Promise<T>, result: Promise<T>): Promise<T> {
    const again = (store: MemoryStore) => void write(store).catch(() => {}); // it failed the first time as well
    this.#writes.push({ opening: this.#own, write: again });
    return result;
  }
}

const folder = new TestFolder();
const paths = new Map<Store, string>();

async function openFile(path: string, dedup?: DedupLimits): Promise<Store> {
  const store = await SqliteStore.open({ path, ...dedup !== undefined && { dedup } });
  paths.set(store, path);
  return store;
}

function newFile(): string {
  return folder.file(`${crypto.randomUUID()}.sqlite`);
}

const stores: readonly CopiedStore[] = [
  {
    name: "memory",
    open: (dedup) => Promise.resolve(new RepeatableStore(undefined, dedup)),
    copy: (store) =>
      store instanceof RepeatableStore ? Promise.resolve(store.copy()) : Promise.reject(new TypeError()),
  },
  {
    name: "sqlite",
    open: (dedup) => openFile(newFile(), dedup),
    copy: async (store) => {
      const [from, to] = [paths.get(store) ?? "", newFile()];
      for (const suffix of ["", "-wal"]) {
        if (existsSync(from + suffix)) copyFileSync(from + suffix, to + suffix);
      }
      return await openFile(to);
    },
  },
];

for (const store of stores) {
  testStoreContract(store);
  testReplicationContract(store);
  testSequenceContract(store);
  testOnceContract(store);
  testOpeningContract(store);
}
