import { type StoreUnderTest, testStoreContract } from "./contract.ts";
import { testReplicationContract } from "./test_replication_contract.ts";
import { testSequenceContract } from "./test_sequence_contract.ts";
import { MemoryStore } from "./memory/store.ts";
import { SqliteStore } from "./sqlite/store.ts";
import { TestFolder } from "./sqlite/test_folder.ts";

const folder = new TestFolder();
let files = 0;
const stores: readonly StoreUnderTest[] = [
  { name: "memory", open: () => Promise.resolve(new MemoryStore()) },
  { name: "sqlite", open: () => SqliteStore.open({ path: folder.file(`${files++}.sqlite`) }) },
];

for (const store of stores) {
  testStoreContract(store);
  testReplicationContract(store);
  testSequenceContract(store);
}
