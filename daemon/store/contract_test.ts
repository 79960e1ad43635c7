import { type StoreUnderTest, testStoreContract } from "./contract.ts";
import { testOnceContract } from "./test_once_contract.ts";
import { testReplicationContract } from "./test_replication_contract.ts";
import { testSequenceContract } from "./test_sequence_contract.ts";
import { MemoryStore } from "./memory/store.ts";
import { SqliteStore } from "./sqlite/store.ts";
import { TestFolder } from "./sqlite/test_folder.ts";

const folder = new TestFolder();
let files = 0;
const stores: readonly StoreUnderTest[] = [
  { name: "memory", open: (dedup) => Promise.resolve(new MemoryStore(undefined, dedup)) },
  {
    name: "sqlite",
    open: (dedup) =>
      SqliteStore.open({ path: folder.file(`${files++}.sqlite`), ...dedup !== undefined && { dedup } }),
  },
];

for (const store of stores) {
  testStoreContract(store);
  testReplicationContract(store);
  testSequenceContract(store);
  testOnceContract(store);
}
