import type { LogName } from "../store.ts";
import { KNOWN_LISTS } from "./limits.ts";

/** Which lists of logs the store thread has, by places that are used again in turn: each list crosses the link once. */
export class SentLists {
  readonly #lists: (readonly LogName[])[] = [];
  #next = 0;

  /** The place of a list, and whether the thread must be told what it is. */
  place(list: readonly LogName[]): { readonly at: number; readonly isNew: boolean } {
    const known = this.#lists.indexOf(list);
    if (known >= 0) return { at: known, isNew: false };
    const at = this.#next;
    this.#lists[at] = list;
    this.#next = (at + 1) % KNOWN_LISTS;
    return { at, isNew: true };
  }
}
