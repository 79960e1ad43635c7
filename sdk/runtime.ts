/** Where the client runs, as far as it matters for sockets: Bun counts as Node, and a browser has none but WebSockets. */
export function runtime(): "deno" | "node" | "browser" {
  if ("Deno" in globalThis) return "deno";
  const { process } = globalThis as { readonly process?: { readonly versions?: { readonly node?: string } } };
  return process?.versions?.node === undefined ? "browser" : "node";
}
