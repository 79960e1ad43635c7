/** Whether the runtime has QUIC: Deno does, where it was started with `--unstable-net`. */
export function hasQuic(): boolean {
  return "Deno" in globalThis && typeof Deno.QuicEndpoint === "function";
}

/** What to do where {@linkcode hasQuic} says no, for error texts. */
export const NO_QUIC =
  'this runtime has no QUIC; use Deno with --unstable-net, or "unstable": ["net"] in its deno.json';

/** Milliseconds without a packet after which a connection counts as broken. */
export const MAX_IDLE_MS = 30_000;
/** Milliseconds without a packet after which one is sent to keep the connection: two may get lost. */
export const KEEP_ALIVE_MS = 10_000;
