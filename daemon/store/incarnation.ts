/** Whether two logs are known to be of different incarnations; one that is "" is unknown. */
export function isOtherIncarnation(a: string, b: string): boolean {
  return a !== "" && b !== "" && a !== b;
}
