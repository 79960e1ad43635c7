/** What code under simulation must not use: it would make runs differ. */
const FORBIDDEN: readonly (readonly [target: object, name: string])[] = [
  [Date, "now"],
  [Math, "random"],
  [performance, "now"],
  [crypto, "getRandomValues"],
  [crypto, "randomUUID"],
  [globalThis, "setTimeout"],
  [globalThis, "setInterval"],
];

/** Makes the clocks, the chance and the timers of the runtime fail until it is disposed of. */
export function forbidRuntime(fail: (what: string) => void): Disposable {
  const restore = FORBIDDEN.map(([target, name]) => {
    const own = Object.getOwnPropertyDescriptor(target, name);
    const value = () => {
      fail(`${name} of the runtime was used`);
      throw new Error(`${name} of the runtime is out of reach`);
    };
    Object.defineProperty(target, name, { configurable: true, writable: true, value });
    return () => {
      Reflect.deleteProperty(target, name);
      if (own !== undefined) Object.defineProperty(target, name, own);
    };
  });
  return { [Symbol.dispose]: () => restore.forEach((undo) => undo()) };
}
