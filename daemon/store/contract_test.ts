import { testStoreContract } from "./contract.ts";
import { MemoryStore } from "./memory/store.ts";
import { SqliteStore } from "./sqlite/store.ts";
import { TestFolder } from "./sqlite/test_folder.ts";

testStoreContract({ name: "memory", open: () => Promise.resolve(new MemoryStore()) });

const folder = new TestFolder();
let files = 0;
testStoreContract({
  name: "sqlite",
  open: () => SqliteStore.open({ path: folder.file(`${files++}.sqlite`) }),
});
