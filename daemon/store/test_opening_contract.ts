/** What openings promise, for every store: places in a copy of the data are told from the same places in the original. */
import assert from "node:assert/strict";
import { contractTests, hasCode, NODE_A, type StoreUnderTest, testMessage } from "./contract.ts";
import type { Store } from "./store.ts";
import { replicatedBatch } from "./test_replication_contract.ts";

/** How the suite gets at a copy of one kind of store. */
export interface CopiedStore extends StoreUnderTest {
  /** Opens a copy of the data of a store as they are now. The suite closes it. */
  copy(store: Store): Promise<Store>;
}

async function append(store: Store, ...texts: readonly string[]): Promise<void> {
  await store.append(texts.map((text) => testMessage("t", text)));
}

/** Registers the tests of openings. */
export function testOpeningContract({ copy, ...underTest }: CopiedStore): void {
  const test = contractTests(underTest);

  test("openingOf names what the store has stored since it was opened, and lastOf how far that reaches", async (store) => {
    assert.equal(store.openingOf(0), "");
    assert.equal(await store.lastOf(""), undefined);
    await append(store, "1", "2");
    const opening = store.openingOf(1);
    assert.match(opening, /^[0-9a-f-]{36}$/);
    assert.equal(store.openingOf(2), opening);
    assert.equal(await store.lastOf(opening), 2);
    await append(store, "3");
    assert.equal(store.openingOf(3), opening);
    assert.equal(await store.lastOf(opening), 3);
    assert.equal(await store.lastOf(`${opening}x`), undefined);
  });

  test("a copy has an opening of its own from the first message that it stores", async (store) => {
    await append(store, "1", "2");
    const first = store.openingOf(2);
    await using idle = await disposable(copy(store));
    assert.equal(idle.store.openingOf(2), first);
    await using again = await disposable(copy(idle.store));
    assert.equal(again.store.openingOf(2), first);
    await append(again.store, "3");
    const second = again.store.openingOf(3);
    assert.notEqual(second, first);
    assert.deepEqual([1, 2, 3].map((sequence) => again.store.openingOf(sequence)), [first, first, second]);
    assert.deepEqual([await again.store.lastOf(first), await again.store.lastOf(second)], [2, 3]);
    await using third = await disposable(copy(again.store));
    assert.equal(third.store.openingOf(1), second);
    await append(third.store, "4", "5");
    assert.deepEqual([await third.store.lastOf(first), await third.store.lastOf(second)], [2, 3]);
    assert.equal(await third.store.lastOf(third.store.openingOf(5)), 5);
  });

  test("an opening reaches in each of two copies as far as that was written in it", async (store) => {
    await append(store, "1", "2");
    await using backup = await disposable(copy(store));
    await append(store, "lost 3", "same 4");
    const lost = store.openingOf(4);
    assert.equal(await store.lastOf(lost), 4);
    assert.equal(await backup.store.lastOf(lost), 2);
    await append(backup.store, "other 3", "same 4", "lost 3");
    assert.equal(await backup.store.lastOf(lost), 2);
    assert.equal(await store.lastOf(backup.store.openingOf(4)), undefined);
  });

  test("an opening begins with any message, and with nothing else", async (store) => {
    await append(store, "1");
    const writes: ((store: Store) => Promise<unknown>)[] = [
      (store) => append(store, "2"),
      (store) => store.appendOnce([{ ...testMessage("t", "2"), key: "k" }]),
      (store) => store.replicate(replicatedBatch(1, 1)),
      (store) => store.deleteRange("t", NODE_A, 1, 1, testMessage("deletes", "m")),
    ];
    for (const write of writes) {
      await using opened = await disposable(copy(store));
      const [failed] = await Promise.allSettled([
        opened.store.deleteRange("t", NODE_A, 1, 9, testMessage("deletes", "m")),
        opened.store.append([]),
        opened.store.openProducer({ owner: "", id: "p" }, 0, 1_700_000_000_000),
        opened.store.recordPeerSync([], { peer: "p", incarnation: "i", sequence: 1, opening: "o" }),
      ]);
      assert.ok(failed.status === "rejected" && hasCode("conflict")(failed.reason));
      const own = opened.store.openingOf(2);
      assert.equal(await opened.store.lastOf(own), undefined);
      await write(opened.store);
      assert.equal(await opened.store.lastOf(own), 2);
    }
  });

  test("calls that share a commit belong to one opening, whichever fails", async (store) => {
    const settled = await Promise.allSettled([
      store.deleteRange("t", NODE_A, 1, 1, testMessage("deletes", "m")),
      append(store, "1"),
      store.replicate(replicatedBatch(5, 6)),
      store.replicate(replicatedBatch(1, 2)),
      append(store, "4"),
    ]);
    assert.deepEqual(settled.map(({ status }) => status === "fulfilled"), [false, true, false, true, true]);
    assert.equal(store.openingOf(1), store.openingOf(4));
    assert.equal(await store.lastOf(store.openingOf(1)), 4);
  });

  test("a log that was set aside, and deleting, leave the sequences of openings as they are", async (store) => {
    await append(store, "1", "2");
    await store.deleteRange("t", NODE_A, 1, 2, testMessage("deletes", "m"));
    await store.archive("deletes", NODE_A);
    await using opened = await disposable(copy(store));
    assert.equal(await opened.store.lastOf(opened.store.openingOf(3)), 3);
    await append(opened.store, "4");
    assert.equal(await opened.store.lastOf(store.openingOf(3)), 3);
  });
}

/** A store that is closed at the end of the block. */
async function disposable(opening: Promise<Store>): Promise<AsyncDisposable & { readonly store: Store }> {
  const store = await opening;
  return { store, [Symbol.asyncDispose]: () => store.close() };
}
