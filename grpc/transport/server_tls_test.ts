import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { TlsCredentialsError } from "./key_pair.ts";
import { ServerTls } from "./server_tls.ts";
import { CertificateAuthority } from "./testing/certificate_authority.ts";

const HOUR_MS = 3_600_000;
const authority = await CertificateAuthority.create();
const other = await CertificateAuthority.create("other");
const good = await authority.issueLocal();

function x509(pem: string): X509Certificate[] {
  return (pem.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []).map((text) =>
    new X509Certificate(text)
  );
}

const encrypted = good.key.replaceAll("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
const damaged = good.cert.replace(/\n[A-Za-z0-9+/]{4}/, "\nAAAA");
for (
  const [what, part, reason, pem] of [
    ["an empty certificate", "cert", /holds no certificate/, { ...good, cert: "" }],
    ["a key as certificate", "cert", /holds no certificate/, { ...good, cert: good.key }],
    ["a damaged certificate", "cert", /certificate 1 can't be read/, { ...good, cert: damaged }],
    ["a certificate as key", "key", /no private key/, { ...good, key: good.cert }],
    ["an encrypted key", "key", /encrypted/, { ...good, key: encrypted }],
    ["another's key", "key", /not the key of the certificate/, {
      ...good,
      key: (await other.issueLocal()).key,
    }],
    ["client authorities that are none", "clientCa", /holds no certificate/, { ...good, clientCa: "x" }],
  ] as const
) {
  Deno.test(`ServerTls refuses ${what}`, async () => {
    await assert.rejects(ServerTls.load(pem), (error) => {
      assert.ok(error instanceof TlsCredentialsError);
      assert.equal(error.part, part);
      assert.match(error.reason, reason);
      return true;
    });
  });
}

Deno.test("ServerTls warns of certificates that are not valid now, and of one without names", async () => {
  assert.deepEqual((await ServerTls.load({ ...good, clientCa: other.cert })).warnings, []);
  const later = await ServerTls.load({ ...good, clientCa: other.cert }, Date.now() + 2 * HOUR_MS);
  assert.equal(later.warnings.length, 2);
  assert.match(
    later.warnings.join("\n"),
    /the certificate .*not now\na certificate of the client authorities .*not now/,
  );
  const nameless = await ServerTls.load(await authority.issue({ commonName: "x" }));
  assert.match(nameless.warnings.join(), /no alternative names/);
});

Deno.test("ServerTls.chainProblem finds the way to a client authority, over those between, now or not", async () => {
  const middle = await authority.below("middle");
  const { cert } = await middle.issue({ commonName: "client" });
  const chain = x509(cert);
  assert.equal(chain.length, 2);
  const tls = await ServerTls.load({ ...good, clientCa: other.cert + authority.cert });
  assert.equal(tls.chainProblem(chain), undefined);
  assert.equal(tls.chainProblem(chain.slice(0, 1)), "untrusted", "the one between is missing");
  assert.equal(tls.chainProblem([]), "untrusted");
  assert.equal(tls.chainProblem(chain, Date.now() + 2 * HOUR_MS), "expired");
  assert.equal((await ServerTls.load({ ...good, clientCa: other.cert })).chainProblem(chain), "untrusted");
  // Same names, other keys.
  const impostor = await CertificateAuthority.create();
  const forged = x509((await (await impostor.below("middle")).issue({ commonName: "client" })).cert);
  assert.equal(tls.chainProblem(forged), "untrusted");
  // A client's certificate is no authority.
  const client = await authority.issue({ commonName: "middle" });
  assert.equal(tls.chainProblem([...forged.slice(0, 1), ...x509(client.cert)]), "untrusted");
});
