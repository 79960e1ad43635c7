import { isSameNode } from "../bus/names.ts";
import { isOtherIncarnation, type LogHead, type NodeName, type PeerSyncState } from "../store/store.ts";
import type { PeerIdentity, RemoteHead } from "./peer_link.ts";

/** What is to be done about one log of one peer. */
export type Plan =
  | { readonly kind: "nothing" }
  /** Copy the messages from a head on. The first one is stored here already where they have to fit together. */
  | { readonly kind: "copy"; readonly fromHeadId: number }
  /** Compare the message at a head with ours. */
  | { readonly kind: "verify"; readonly headId: number }
  /** Ask the origin whether it really has less than a copy of it. */
  | { readonly kind: "ask" }
  /** The two copies are not of one log. */
  | { readonly kind: "fork"; readonly reason: string };

const NOTHING: Plan = { kind: "nothing" };

/** What is known of one log at one peer. */
export class LogCopy {
  readonly topic: string;
  readonly origin: NodeName;
  remoteHead = 0;
  remoteIncarnation = "";
  lastSyncedHead = 0;
  lastAttemptAtMs = 0;
  lastSuccessAtMs = 0;
  consecutiveFailures = 0;
  /** How often in a row another peer took the log over, because nothing came from this one. */
  stalls = 0;
  /** Messages per millisecond that came from this peer in this session, when another took the log over; undefined before. */
  pace: number | undefined;
  lastError = "";
  fork: PeerSyncState["fork"] = "none";
  /** Whether a message of the peer was compared with ours since the session began, or is just being compared. */
  verified = false;
  /** The highest head at which both were found to be one; 0: none. Another peer may have given us more meanwhile. */
  agreedHead = 0;
  /** Whether the origin was asked since the session began: it goes back only when it starts anew. */
  asked = false;
  /** Messages of this node's own log are taken from the peer, because somebody decided so. */
  adopting = false;
  /** Whether the peer has put another log in this one's place since the session began. */
  #replaced = false;
  #heard = false;

  constructor(topic: string, origin: NodeName) {
    this.topic = topic;
    this.origin = origin;
  }

  /** As it was recorded. */
  static restore(state: PeerSyncState): LogCopy {
    const copy = new LogCopy(state.topic, state.origin);
    copy.remoteHead = state.remoteHead;
    copy.remoteIncarnation = state.remoteIncarnation;
    copy.lastSyncedHead = state.lastSyncedHead;
    copy.lastAttemptAtMs = state.lastAttemptAtMs;
    copy.lastSuccessAtMs = state.lastSuccessAtMs;
    copy.consecutiveFailures = state.consecutiveFailures;
    copy.lastError = state.lastError;
    copy.fork = state.fork;
    return copy;
  }

  /** A new session: what was heard before may be wrong, as after a backup was restored. */
  beginSession(): void {
    this.forgetAgreement();
    this.asked = false;
    this.pace = undefined;
    this.#replaced = false;
    this.#heard = false;
  }

  /** The peer has set the log that it told of aside, and has another one now. */
  replaced(): void {
    this.beginSession();
    this.#replaced = true;
  }

  /** Somebody decided to take the peer's log; `own` says that it is one of this node. */
  adopted(own: boolean): void {
    this.fork = "none";
    this.adopting = own;
    this.forgetAgreement();
    this.consecutiveFailures = 0;
    this.lastError = "";
  }

  /** The message of the peer at a head is ours. */
  agreed(headId: number): void {
    this.verified = true;
    this.agreedHead = Math.max(this.agreedHead, headId);
    this.lastSyncedHead = Math.max(this.lastSyncedHead, headId);
  }

  /** The peer's messages may be others than those that were compared. */
  forgetAgreement(): void {
    this.verified = false;
    this.agreedHead = 0;
  }

  /** Says whether that was new. */
  heard({ headId, incarnation }: RemoteHead): boolean {
    const before = [this.remoteHead, this.remoteIncarnation];
    const same = this.#heard && incarnation === this.remoteIncarnation;
    // Within a session, messages can be quicker than the news of them.
    this.remoteHead = same ? Math.max(this.remoteHead, headId) : headId;
    // Until the peer tells of a log, what an earlier session heard holds: it may be of one that the peer has no more.
    if (incarnation !== this.remoteIncarnation || !this.#heard) this.forgetAgreement();
    this.remoteIncarnation = incarnation;
    this.#heard = true;
    return before[0] !== this.remoteHead || before[1] !== incarnation;
  }

  /** What is known, to be recorded beside what we have. */
  state(peer: string, local: LogHead): PeerSyncState {
    return {
      peer,
      topic: this.topic,
      origin: this.origin,
      localHead: local.headId,
      remoteHead: this.remoteHead,
      lastSyncedHead: this.lastSyncedHead,
      lastAttemptAtMs: this.lastAttemptAtMs,
      lastSuccessAtMs: this.lastSuccessAtMs,
      consecutiveFailures: this.consecutiveFailures,
      lastError: this.lastError,
      localIncarnation: local.incarnation,
      remoteIncarnation: this.remoteIncarnation,
      fork: this.fork,
    };
  }

  /**
   * What is to be done, given what we have of the log. Copies are compared where they meet: the first message that is
   * copied is one that we have, so that a log that began anew, or went back and on from there, is told from ours.
   */
  plan(local: LogHead, peer: PeerIdentity, self: NodeName): Plan {
    const { remoteHead } = this;
    if (this.fork !== "none" || remoteHead === 0) return NOTHING;
    if (isSameNode(this.origin, self) && !this.adopting) {
      if (remoteHead > local.headId) {
        return {
          kind: "fork",
          reason: `the peer has ${remoteHead} messages of this node's own log, which has ${local.headId}: ` +
            "was an older copy of the data restored, or the data lost?",
        };
      }
      return this.verified ? NOTHING : { kind: "verify", headId: remoteHead };
    }
    if (remoteHead > local.headId) {
      const meets = this.agreedHead < local.headId;
      return { kind: "copy", fromHeadId: meets ? local.headId : local.headId + 1 };
    }
    const fromOrigin = isSameNode(this.origin, peer.node);
    // An origin that went back may have written as many messages since as it lost: nothing but what they are tells.
    const mayDiffer = isOtherIncarnation(this.remoteIncarnation, local.incarnation) ||
      (remoteHead === local.headId && (fromOrigin || this.#replaced));
    if (mayDiffer && !this.verified) return { kind: "verify", headId: remoteHead };
    // An origin never has less than what others copied from it, unless it went back.
    return fromOrigin && remoteHead < local.headId && !this.asked ? { kind: "ask" } : NOTHING;
  }
}

/** What is known of an origin's log that is behind its copies. */
export function wentBack(remoteHead: number, localHead: number): string {
  return `the origin has ${remoteHead} messages, and this node has copied ${localHead}: ` +
    "was an older copy of its data restored?";
}
