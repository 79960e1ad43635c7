/** Ascending heads as ranges without gaps. */
export function stretches(heads: readonly number[]): [from: number, to: number][] {
  const found: [from: number, to: number][] = [];
  for (const head of heads) {
    const last = found.at(-1);
    if (last !== undefined && last[1] + 1 === head) last[1] = head;
    else found.push([head, head]);
  }
  return found;
}
