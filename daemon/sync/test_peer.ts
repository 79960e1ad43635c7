import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type SyncRequest, SyncRequestSchema, SyncResponseSchema } from "@msgbus/proto/sync";
import type { ReplicatedMessage } from "../store/store.ts";
import { PeerError, type PeerIdentity, type PeerLink, type RemoteHead } from "./peer_link.ts";
import { nodeName } from "./test_node.ts";

/** A peer that says what a test tells it to, whether or not that is right. */
export class TestPeer implements PeerLink {
  identity: PeerIdentity = { node: nodeName("peer"), incarnation: "peer's" };
  /** What it was asked in the sessions. */
  readonly requests: SyncRequest["request"][] = [];
  /** How many sessions were begun. */
  sessions = 0;
  /** What ListHeads answers, and Fetch; there is no SyncService where the heads are given. */
  polled: (() => readonly RemoteHead[]) | undefined;
  fetched: (fromHeadId: number) => ReplicatedMessage[] | Promise<ReplicatedMessage[]> = () => [];
  #waiting: Uint8Array[] = [];
  #wake: () => void = () => {};
  readonly #unimplemented = new PeerError("unimplemented", "it does not have that");

  /** Sends a response to the session that runs, or to the next one. */
  say(response: MessageInitShape<typeof SyncResponseSchema>): void {
    this.#waiting.push(toBinary(SyncResponseSchema, create(SyncResponseSchema, response)));
    this.#wake();
  }

  welcome(identity: PeerIdentity = this.identity): void {
    this.say({ welcome: { node: identity.node, incarnation: identity.incarnation, resumed: false } });
  }

  identify(): Promise<PeerIdentity> {
    return Promise.resolve(this.identity);
  }

  prove(): Promise<Uint8Array> {
    return Promise.reject(this.#unimplemented);
  }

  heads(): Promise<readonly RemoteHead[]> {
    return Promise.resolve(this.polled?.() ?? []);
  }

  head(): Promise<number> {
    return Promise.resolve(0);
  }

  fetch(_topic: string, _origin: unknown, fromHeadId: number): Promise<ReplicatedMessage[]> {
    return Promise.resolve(this.fetched(fromHeadId));
  }

  sync() {
    this.sessions++;
    let over = false;
    return {
      send: (request: Uint8Array) => void this.requests.push(fromBinary(SyncRequestSchema, request).request),
      nextBatch: async () => {
        if (this.polled !== undefined) throw this.#unimplemented;
        while (this.#waiting.length === 0 && !over) {
          await new Promise<void>((resolve) => this.#wake = resolve);
        }
        return over ? null : this.#waiting.splice(0);
      },
      cancel: () => {
        over = true;
        this.#wake();
      },
    };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
