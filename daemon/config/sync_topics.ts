import type { PeerAddress } from "./peer_address.ts";

/** Which topics to copy from a peer, as patterns. */
export interface SyncTopics {
  /** Every topic where there is none. */
  readonly include: readonly string[];
  /** Those not to copy, though a pattern of `include` may match. */
  readonly exclude: readonly string[];
}

/** What an entry looks like, for error texts. */
export const SYNC_TOPICS_FORMS =
  "[endpoint=]pattern or [endpoint=]!pattern, such as sensors.> or !sensors.raw.>";

/** The patterns that hold for one peer: those of its endpoint, and those of none; the latter alone for one that is not configured. */
export function syncTopicsOf(
  peer: PeerAddress | undefined,
  entries: readonly string[],
  all: readonly PeerAddress[],
): SyncTopics {
  const include: string[] = [];
  const exclude: string[] = [];
  for (const entry of entries) {
    const named = endpointOf(entry, all);
    if (named !== undefined && named !== peer?.endpoint) continue;
    const pattern = named === undefined ? entry : entry.slice(named.length + 1);
    if (pattern.startsWith("!")) exclude.push(pattern.slice(1));
    else include.push(pattern);
  }
  return { include, exclude };
}

/** The peer that an entry names; a topic may hold any character, so only the endpoints that there are count. */
function endpointOf(entry: string, all: readonly PeerAddress[]): string | undefined {
  return all.map(({ endpoint }) => endpoint).filter((endpoint) => entry.startsWith(`${endpoint}=`))
    .sort((a, b) => b.length - a.length)[0];
}
