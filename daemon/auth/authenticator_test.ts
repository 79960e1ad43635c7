import assert from "node:assert/strict";
import { sha256 } from "@noble/hashes/sha2.js";
import { Metadata, type PeerIdentity, type ServerCall, Status, StatusError } from "@msgbus/grpc";
import { Bus } from "../bus/bus.ts";
import { BusError } from "../bus/error.ts";
import { MemoryStore } from "../store/memory/store.ts";
import type { AuthFile, CertificateEntry, TokenEntry } from "./auth_file.ts";
import { Authenticator } from "./authenticator.ts";
import { newToken } from "./token.ts";

const NODE = { tenantId: "tenant", blName: "default", deviceId: "device" };
const FINGERPRINT = "0123456789abcdef".repeat(4);
const IDENTITY: PeerIdentity = {
  commonName: "gateway",
  names: [{ kind: "dns", value: "gateway.example" }],
  fingerprint: FINGERPRINT,
};
const NOTHING = new Uint8Array();

let last = 0;
/** A token that is different each time, and its entry. */
function token(
  name: string,
  allow: TokenEntry["allow"],
): { readonly text: string; readonly entry: TokenEntry } {
  const { id, text } = newToken((into) => into.fill(++last));
  return { text, entry: { id, name, sha256: sha256(new TextEncoder().encode(text)).toHex(), allow } };
}

function callWith(metadata: Readonly<Record<string, string>>, identity?: PeerIdentity): ServerCall {
  return {
    path: "/test/Test",
    peer: "memory",
    identity,
    metadata: new Metadata(metadata),
    signal: new AbortController().signal,
    remainingMs: undefined,
    header: new Metadata(),
    trailer: new Metadata(),
  };
}

async function withAuthenticator(
  file: Partial<AuthFile>,
  work: (authenticator: Authenticator) => Promise<void> | void,
): Promise<void> {
  const store = new MemoryStore();
  const bus = await Bus.open({ store, node: NODE, clock: () => 0, random: () => {} });
  await work(new Authenticator(bus, { tokens: [], certificates: [], ...file }, sha256));
  await bus.close();
  await store.close();
}

function isUnauthenticated(error: unknown, secret?: string): boolean {
  return error instanceof StatusError && error.code === Status.UNAUTHENTICATED &&
    (secret === undefined || !error.message.includes(secret));
}

Deno.test("Authenticator knows the owner of a token, who may do what its entry says and nothing else", async () => {
  const sensor = token("sensor", { publish: ["sensors.>"] });
  await withAuthenticator({ tokens: [token("other", {}).entry, sensor.entry] }, async (authenticator) => {
    const bus = authenticator.busOf(callWith({ authorization: `Bearer ${sensor.text}` }));
    await bus.publish({ topic: "sensors.a", payload: NOTHING, headers: NOTHING });
    await assert.rejects(
      bus.publish({ topic: "orders", payload: NOTHING, headers: NOTHING }),
      (error) =>
        error instanceof BusError && error.code === "permission_denied" && /"sensor"/.test(error.message),
    );
    assert.equal(authenticator.busOf(callWith({ authorization: `bearer  ${sensor.text}` })), bus);
  });
});

Deno.test("Authenticator refuses whoever has no token, a wrong one, or several, and repeats no secret", async () => {
  const { text, entry } = token("sensor", { admin: true });
  await withAuthenticator({ tokens: [entry] }, (authenticator) => {
    const refused = [
      "",
      text,
      `Basic ${text}`,
      "Bearer",
      `Bearer ${text}x`,
      `Bearer ${text.slice(0, -1)}`,
      `Bearer ${text.slice(0, -2)}AA`,
      `Bearer ${token("another", {}).text}`,
      `Bearer ${entry.sha256}`,
      `Bearer ${entry.id}`,
    ];
    for (const header of refused) {
      assert.throws(
        () => authenticator.busOf(callWith(header === "" ? {} : { authorization: header })),
        (error) =>
          isUnauthenticated(error, header.includes("msgbus_") ? header.split(" ").at(-1) : undefined),
        header,
      );
    }
    const twice = callWith({ authorization: `Bearer ${text}` });
    twice.metadata.append("authorization", `Bearer ${text}`);
    assert.throws(() => authenticator.busOf(twice), isUnauthenticated);
  });
});

Deno.test("Authenticator knows the owner of a certificate by all that the entry says of it", async () => {
  const allow = { subscribe: ["sensors.>"] };
  const entries: readonly (readonly [Partial<CertificateEntry>, boolean])[] = [
    [{ fingerprint: FINGERPRINT }, true],
    [{ commonName: "gateway" }, true],
    [{ subjectAltName: "gateway.example" }, true],
    [{ fingerprint: FINGERPRINT, commonName: "gateway", subjectAltName: "gateway.example" }, true],
    [{ fingerprint: FINGERPRINT.replace("0", "1") }, false],
    [{ commonName: "Gateway" }, false],
    [{ subjectAltName: "gateway" }, false],
    [{ fingerprint: FINGERPRINT, commonName: "another" }, false],
  ];
  for (const [known, meant] of entries) {
    await withAuthenticator({ certificates: [{ name: "gateway", ...known, allow }] }, (authenticator) => {
      const find = () => authenticator.busOf(callWith({}, IDENTITY));
      if (meant) assert.equal(find().head("sensors.a"), undefined);
      else assert.throws(find, isUnauthenticated, JSON.stringify(known));
    });
  }
});

Deno.test("Authenticator takes a wrong token for an attempt, whatever certificate comes with it", async () => {
  await withAuthenticator(
    { certificates: [{ name: "gateway", commonName: "gateway", allow: { admin: true } }] },
    (authenticator) => {
      const call = callWith({ authorization: `Bearer ${token("another", {}).text}` }, IDENTITY);
      assert.throws(() => authenticator.busOf(call), isUnauthenticated);
    },
  );
});

Deno.test("Authenticator.reload ends what the new file no longer grants, and leaves the others alone", async () => {
  const [kept, changed, removed] = ["kept", "changed", "removed"].map((name) =>
    token(name, { subscribe: ["a"] })
  );
  assert(kept !== undefined && changed !== undefined && removed !== undefined);
  const added = token("added", { admin: true });
  const tokens = [kept.entry, changed.entry, removed.entry];
  await withAuthenticator({ tokens }, (authenticator) => {
    const busOf = (text: string) => authenticator.busOf(callWith({ authorization: `Bearer ${text}` }));
    const [keptBus, changedBus, removedBus] = [busOf(kept.text), busOf(changed.text), busOf(removed.text)];
    authenticator.reload({
      tokens: [added.entry, { ...changed.entry, allow: { subscribe: ["b"] } }, kept.entry],
      certificates: [],
    });
    assert.equal(busOf(kept.text), keptBus);
    assert.equal(keptBus.revoked.aborted, false);
    assert(changedBus.revoked.aborted);
    assert.equal(busOf(changed.text).head("b"), undefined);
    assert(removedBus.revoked.aborted);
    assert.throws(() => busOf(removed.text), isUnauthenticated);
    assert.deepEqual(busOf(added.text).heads(), []);
  });
});
