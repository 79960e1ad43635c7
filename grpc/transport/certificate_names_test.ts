import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { certificateNames } from "./certificate_names.ts";
import { DerError } from "./der_reader.ts";
import { CertificateAuthority, type CertificateDescription } from "./testing/certificate_authority.ts";

async function certificate(description: CertificateDescription): Promise<Uint8Array> {
  const authority = await CertificateAuthority.create();
  return new X509Certificate((await authority.issue(description)).cert).raw;
}

Deno.test("certificateNames reads common name and alternative names in their order (RFC 5280, 4.2.1.6)", async () => {
  const bytes = await certificate({
    commonName: "gerät 7",
    email: ["ops@example.org"],
    dns: ["host.example", "*.example"],
    uri: ["spiffe://example/device"],
    ip: [[10, 0, 0, 7], [0x20, 0x01, 0x0d, 0xb8, ...Array(11).fill(0), 1]],
  });
  assert.deepEqual(certificateNames(bytes), {
    commonName: "gerät 7",
    names: [
      { kind: "email", value: "ops@example.org" },
      { kind: "dns", value: "host.example" },
      { kind: "dns", value: "*.example" },
      { kind: "uri", value: "spiffe://example/device" },
      { kind: "ip", value: "10.0.0.7" },
      { kind: "ip", value: "2001:db8:0:0:0:0:0:1" },
    ],
  });
});

Deno.test("certificateNames: a name can't pretend to be two", async () => {
  const uri = "https://x, DNS:admin.example";
  const { names } = certificateNames(await certificate({ commonName: "x, CN=admin", uri: [uri] }));
  assert.deepEqual(names, [{ kind: "uri", value: uri }]);
});

Deno.test("certificateNames of a certificate without alternative names has none", async () => {
  assert.deepEqual(certificateNames(await certificate({ commonName: "x" })), { commonName: "x", names: [] });
});

Deno.test("certificateNames throws DerError for a certificate that is cut anywhere", async () => {
  const bytes = await certificate({ commonName: "x", dns: ["y"] });
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => certificateNames(bytes.subarray(0, length)), DerError, `cut at ${length}`);
  }
});

Deno.test("certificateNames gives names or DerError for damaged certificates, nothing else", async () => {
  const bytes = await certificate({ commonName: "x", dns: ["y"], ip: [[1, 2, 3, 4]] });
  for (let at = 0; at < bytes.length; at++) {
    for (const mask of [0x01, 0x80, 0xff]) {
      try {
        certificateNames(bytes.with(at, (bytes[at] ?? 0) ^ mask));
      } catch (error) {
        assert.ok(error instanceof DerError, `octet ${at}, ${mask}: ${error}`);
      }
    }
  }
});
