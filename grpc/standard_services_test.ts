/** The services that gRPC tools expect of every server: health and reflection; and details of errors. */
import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  file_google_protobuf_any,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { Channel } from "./channel.ts";
import { badRequest, fieldViolations } from "./error_details.ts";
import { HealthService } from "./health.ts";
import { registerReflection } from "./reflection.ts";
import { GrpcServer } from "./server.ts";
import { file_google_rpc_status } from "./standard/gen/google/rpc/status_pb.ts";
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthCheckResponseSchema,
} from "./standard/gen/grpc/health/v1/health_pb.ts";
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "./standard/gen/grpc/reflection/v1/reflection_pb.ts";
import { Status, StatusError } from "./status.ts";
import { listenMemory } from "./transport/memory.ts";

const CHECK = "/grpc.health.v1.Health/Check";
const WATCH = "/grpc.health.v1.Health/Watch";

/** A server whose health the test decides, with reflection. */
class Fixture implements AsyncDisposable {
  serving = true;
  probes = 0;
  /** Lets the time between two probes pass. */
  tick: () => void = () => {};
  readonly health: HealthService;
  readonly server = new GrpcServer();
  readonly channel: Channel;
  readonly #running: Promise<void>;

  constructor() {
    const listener = listenMemory();
    this.health = new HealthService({
      services: ["test.Test"],
      probe: () => {
        this.probes++;
        return Promise.resolve(this.serving);
      },
      clock: {
        nowMs: () => 0,
        after: (_, callback) => {
          this.tick = callback;
          return () => this.tick = () => {};
        },
      },
    }).register(this.server);
    this.server.method("/test.Test/Fail", {
      kind: "unary",
      handle: () => {
        throw badRequest(Status.INVALID_ARGUMENT, "it is bad", [{
          field: "origin.tenant_id",
          description: "empty",
        }]);
      },
    });
    registerReflection(
      this.server,
      () =>
        toBinary(
          FileDescriptorSetSchema,
          create(FileDescriptorSetSchema, {
            file: [file_google_rpc_status.proto, file_google_protobuf_any.proto].reverse(),
          }),
        ),
    );
    this.channel = new Channel(() => listener.connect());
    this.#running = this.server.serve(listener);
  }

  async check(service: string): Promise<ServingStatus> {
    return statusOf(await this.channel.unary(CHECK, request(service)));
  }

  async reflect(
    ...requests: ServerReflectionRequest["messageRequest"][]
  ): Promise<ServerReflectionResponse["messageResponse"][]> {
    const bytes = requests.map((messageRequest) =>
      toBinary(ServerReflectionRequestSchema, create(ServerReflectionRequestSchema, { messageRequest }))
    );
    const answers = await Array.fromAsync(
      this.channel.bidiStreaming("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", bytes),
    );
    return answers.map((answer) => fromBinary(ServerReflectionResponseSchema, answer).messageResponse);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.health.stop();
    await this.channel.close();
    await this.server.shutdown(1_000);
    await this.#running;
  }
}

function request(service: string): Uint8Array {
  return toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service }));
}

function statusOf(response: Uint8Array): ServingStatus {
  return fromBinary(HealthCheckResponseSchema, response).status;
}

function failsWith(code: Status): (error: unknown) => boolean {
  return (error) => error instanceof StatusError && error.code === code;
}

Deno.test("HealthService.Check: SERVING while the probe says so, for the server and the services it knows", async () => {
  await using fixture = new Fixture();
  assert.equal(await fixture.check(""), ServingStatus.SERVING);
  assert.equal(await fixture.check("test.Test"), ServingStatus.SERVING);
  fixture.serving = false;
  assert.equal(await fixture.check("test.Test"), ServingStatus.NOT_SERVING);
  fixture.serving = true;
  fixture.health.stop();
  assert.equal(await fixture.check(""), ServingStatus.NOT_SERVING);
});

Deno.test("HealthService.Check: a service that it does not know is NOT_FOUND, and no message is INVALID_ARGUMENT", async () => {
  await using fixture = new Fixture();
  await assert.rejects(fixture.check("test.Other"), failsWith(Status.NOT_FOUND));
  await assert.rejects(
    fixture.channel.unary(CHECK, Uint8Array.of(10, 5)),
    failsWith(Status.INVALID_ARGUMENT),
  );
});

Deno.test("HealthService.Watch: the status now, each change once, and the end when the server stops", async () => {
  await using fixture = new Fixture();
  const watches = [
    fixture.channel.serverStreaming(WATCH, request("")),
    fixture.channel.serverStreaming(WATCH, request("")),
  ];
  const next = () => Promise.all(watches.map(async (watch) => (await watch.nextBatch())?.map(statusOf)));
  assert.deepEqual(await next(), [[ServingStatus.SERVING], [ServingStatus.SERVING]]);
  const changed = next();
  const before = fixture.probes;
  fixture.tick(); // nothing has changed: nothing is said
  await fixture.check("");
  fixture.serving = false;
  fixture.tick();
  assert.deepEqual(await changed, [[ServingStatus.NOT_SERVING], [ServingStatus.NOT_SERVING]]);
  assert.equal(fixture.probes, before + 3, "one probe a time for all that watch, and one for the check");
  fixture.serving = true;
  fixture.tick();
  assert.deepEqual(await next(), [[ServingStatus.SERVING], [ServingStatus.SERVING]]);
  fixture.health.stop();
  assert.deepEqual(await next(), [[ServingStatus.NOT_SERVING], [ServingStatus.NOT_SERVING]]);
  for (const watch of watches) await assert.rejects(watch.nextBatch(), failsWith(Status.UNAVAILABLE));
});

Deno.test("HealthService.Watch: a service that it does not know is SERVICE_UNKNOWN, and the call goes on", async () => {
  await using fixture = new Fixture();
  const watch = fixture.channel.serverStreaming(WATCH, request("test.Other"));
  assert.deepEqual((await watch.nextBatch())?.map(statusOf), [ServingStatus.SERVICE_UNKNOWN]);
  fixture.health.stop();
  await assert.rejects(watch.nextBatch(), failsWith(Status.UNAVAILABLE));
});

Deno.test("registerReflection lists the services of the server, as v1 and v1alpha", async () => {
  await using fixture = new Fixture();
  const [list] = await fixture.reflect({ case: "listServices", value: "*" });
  assert(list?.case === "listServicesResponse");
  assert.deepEqual(list.value.service.map(({ name }) => name), [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "test.Test",
  ]);
});

Deno.test("registerReflection gives the file of a symbol of any kind, and says what does not exist", async () => {
  await using fixture = new Fixture();
  const symbols = [
    "grpc.health.v1.Health",
    "grpc.health.v1.Health.Check",
    "grpc.health.v1.HealthCheckRequest",
    "grpc.health.v1.HealthCheckRequest.service",
    "grpc.health.v1.HealthCheckResponse.ServingStatus",
    ".grpc.health.v1.Health",
  ];
  const answers = await fixture.reflect(
    ...symbols.map((value) => ({ case: "fileContainingSymbol", value }) as const),
    { case: "fileByFilename", value: "grpc/health/v1/health.proto" },
  );
  assert.equal(answers.length, symbols.length + 1);
  for (const answer of answers) {
    assert(answer.case === "fileDescriptorResponse");
    const names = answer.value.fileDescriptorProto.map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes).name
    );
    assert.deepEqual(names, ["grpc/health/v1/health.proto"]);
  }
  const [withImport] = await fixture.reflect({ case: "fileContainingSymbol", value: "google.rpc.Status" });
  assert(withImport?.case === "fileDescriptorResponse");
  assert.deepEqual(
    withImport.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name),
    ["google/rpc/status.proto", "google/protobuf/any.proto"],
  );
  const missing = await fixture.reflect(
    { case: "fileContainingSymbol", value: "grpc.health.v1.Health.Missing" },
    { case: "fileContainingSymbol", value: "" },
    { case: "fileByFilename", value: "missing.proto" },
    { case: "allExtensionNumbersOfType", value: "missing.Message" },
  );
  for (const answer of missing) {
    assert(answer.case === "errorResponse");
    assert.equal(answer.value.errorCode, Status.NOT_FOUND);
    assert.match(answer.value.errorMessage, /there is no/);
  }
});

Deno.test("badRequest travels to the client, who finds the fields at fault", async () => {
  await using fixture = new Fixture();
  const error = await fixture.channel.unary("/test.Test/Fail", new Uint8Array()).catch((error) => error);
  assert(error instanceof StatusError);
  assert.equal(error.message, "it is bad");
  assert.deepEqual(fieldViolations(error).map(({ field, description }) => ({ field, description })), [
    { field: "origin.tenant_id", description: "empty" },
  ]);
  assert.deepEqual(
    fieldViolations(new StatusError(Status.INTERNAL, "", { details: Uint8Array.of(255) })),
    [],
  );
});
