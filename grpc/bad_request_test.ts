import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { badRequest } from "./bad_request.ts";
import { BadRequestSchema } from "./standard/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "./standard/gen/google/rpc/status_pb.ts";
import { Status } from "./status.ts";

const text = fc.string({ unit: "binary", maxLength: 300 }).filter((value) => value.isWellFormed());
const violations = fc.array(fc.record({ field: text, description: text }), { maxLength: 4 });

Deno.test("badRequest writes what the generated code writes", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.values(Status)),
      text,
      violations,
      (code, message, fieldViolations) => {
        const detail = anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations }));
        const expected = toBinary(StatusSchema, create(StatusSchema, { code, message, details: [detail] }));
        assert.deepEqual(badRequest(code, message, fieldViolations).details, expected);
      },
    ),
  );
});
