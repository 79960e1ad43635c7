import type { NodeName } from "../config/config.ts";

/** A daemon on the local network, as it says of itself. */
export interface Announcement {
  readonly node: NodeName;
  /** Its data directory: tells two runs of the same name apart. */
  readonly incarnation: string;
  readonly port: number;
  /** Whether it speaks TLS there. */
  readonly secure: boolean;
}

/** What arrived from the network. */
export type Heard =
  /** Somebody is there. `address` is where the packet came from, an IP address. */
  | {
    readonly kind: "announced";
    readonly announcement: Announcement;
    readonly address: string;
    readonly ttlSeconds: number;
  }
  /** Somebody asks who is there. */
  | { readonly kind: "asked" };
