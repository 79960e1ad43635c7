import assert from "node:assert/strict";
import { type AuthFile, formatAuthFile, parseAuthFile } from "./auth_file.ts";
import { AuthFileError } from "./error.ts";
import { newToken, tokenId } from "./token.ts";

const HASH = "0123456789abcdef".repeat(4);
const ALLOW = { publish: ["sensors.>"], subscribe: [], fifo: ["jobs"], admin: false, sync: true };
const FILE: AuthFile = {
  tokens: [{
    id: "0123456789ab",
    name: "sensor",
    sha256: HASH,
    createdAt: "2026-01-01T00:00:00Z",
    allow: ALLOW,
  }],
  certificates: [
    { name: "gateway", fingerprint: HASH, allow: ALLOW },
    { name: "laptop", commonName: "laptop", subjectAltName: "laptop.example", allow: ALLOW },
  ],
};

Deno.test("parseAuthFile reads what formatAuthFile writes", () => {
  assert.deepEqual(parseAuthFile(formatAuthFile(FILE), "tokens.json"), FILE);
});

Deno.test("parseAuthFile takes fingerprints as tools print them, and empty files", () => {
  const colons = HASH.toUpperCase().match(/../g)?.join(":");
  const { certificates } = parseAuthFile(
    JSON.stringify({ certificates: [{ name: "a", fingerprint: colons, allow: {} }] }),
    "tokens.json",
  );
  assert.equal(certificates[0]?.fingerprint, HASH);
  assert.deepEqual(parseAuthFile("{}", "tokens.json"), { tokens: [], certificates: [] });
});

Deno.test("parseAuthFile refuses what it does not understand, and names the place", () => {
  const token = (change: Record<string, unknown>) =>
    JSON.stringify({ tokens: [{ ...FILE.tokens[0], ...change }] });
  const refused: readonly (readonly [string, RegExp])[] = [
    ["", /it is not JSON/],
    ["[]", /the file: it is no object/],
    [`{"token":[]}`, /the file: "token" is unknown; it takes tokens, certificates/],
    [`{"tokens":{}}`, /tokens: it is no list/],
    [`{"tokens":[1]}`, /tokens\[0\]: it is no object/],
    [token({ name: " " }), /tokens\[0\]\.name: it must be a name/],
    [token({ id: "x" }), /tokens\[0\]\.id: it must be 12 hexadecimal digits/],
    [token({ sha256: HASH.slice(1) }), /tokens\[0\]\.sha256: it must be 64/],
    [token({ allow: undefined }), /tokens\[0\]\.allow: it is no object/],
    [token({ allow: { publish: "a" } }), /allow\.publish: it must be a list of texts/],
    [token({ allow: { publish: ["a.>.b"] } }), /tokens\[0\]\.allow: .*">" must come last/],
    [token({ allow: { admin: "yes" } }), /allow\.admin: it must be true or false/],
    [token({ allow: { delete: true } }), /allow: "delete" is unknown/],
    [`{"certificates":[{"name":"a","allow":{}}]}`, /certificates\[0\]: it says no certificate/],
    [`{"certificates":[{"name":"a","fingerprint":"12","allow":{}}]}`, /its fingerprint is no SHA-256/],
    [JSON.stringify({ tokens: [FILE.tokens[0], FILE.tokens[0]] }), /the name "sensor" is there twice/],
    [
      JSON.stringify({ tokens: [FILE.tokens[0], { ...FILE.tokens[0], name: "b" }] }),
      /the id .* is there twice/,
    ],
  ];
  for (const [text, reason] of refused) {
    assert.throws(
      () => parseAuthFile(text, "tokens.json"),
      (error) =>
        error instanceof AuthFileError && /"tokens\.json"/.test(error.message) && reason.test(error.message),
      text,
    );
  }
});

Deno.test("newToken makes tokens of 256 random bits that carry their id", () => {
  const { id, text } = newToken((into) => into.fill(255));
  assert.equal(id, "ffffffffffff");
  assert.equal(text, `msgbus_ffffffffffff_${"_".repeat(42)}8`);
  assert.equal(tokenId(text), id);
  for (const other of ["", "msgbus_ffffffffffff_", `${text}x`, text.replace("msgbus", "token")]) {
    assert.equal(tokenId(other), undefined, other);
  }
});
