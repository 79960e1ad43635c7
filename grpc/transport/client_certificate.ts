import type { X509Certificate } from "node:crypto";
import { chainOf } from "./certificate_chain.ts";
import { type PeerIdentity, peerIdentity } from "./peer_identity.ts";
import type { ServerTls } from "./server_tls.ts";
import type { TlsRefusalCode } from "./tls_refusal.ts";

/** What a socket of node:tls tells of the client's certificate once its handshake is done. */
export interface ClientCertificate {
  /** Whether the runtime found it good, on its first connection at least. */
  readonly authorized: boolean;
  /** Why not, as a code. */
  readonly authorizationError: unknown;
  /** Whether the handshake was skipped with a session from before, and the certificate with it. */
  isSessionReused(): boolean;
  /** The certificate; undefined where the client showed none. */
  getPeerX509Certificate(): X509Certificate | undefined;
}

/** The client's identity, or why it is not let in. */
export type ClientVerdict =
  | { readonly identity: PeerIdentity }
  | { readonly code: TlsRefusalCode; readonly detail?: string };

/** Codes of the runtime for a certificate whose way to an authority was not found. */
const UNTRUSTED: ReadonlySet<unknown> = new Set([
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
]);

/**
 * Who the client is. It is let in only where the runtime found its certificate good; that is asked of the certificates
 * themselves as well where a session was resumed, which the runtime lets in unseen.
 */
export function judgeClient(shown: ClientCertificate, tls: ServerTls): ClientVerdict {
  const chain = chainOf(shown.getPeerX509Certificate());
  const [leaf] = chain;
  if (leaf === undefined) return { code: "no_client_certificate" };
  const problem = !shown.authorized || shown.isSessionReused() ? tls.chainProblem(chain) : undefined;
  if (problem !== undefined) return { code: `${problem}_client_certificate` };
  if (!shown.authorized) {
    // The runtime sees more than the chain: what the certificate may be used for, for example.
    const { authorizationError: error } = shown;
    return UNTRUSTED.has(error)
      ? { code: "untrusted_client_certificate" }
      : { code: "unusable_client_certificate", detail: String(error) };
  }
  try {
    return { identity: peerIdentity(leaf.raw, leaf.fingerprint256) };
  } catch {
    // The authority vouches for it, but nobody can say for whom.
    return { code: "unusable_client_certificate", detail: "its names can't be read" };
  }
}
