import {
  create,
  createFileRegistry,
  createRegistry,
  type DescFile,
  type DescMethod,
  fromBinary,
  type Registry,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { GrpcServer } from "./server.ts";
import type { StreamingServerCall } from "./server_call.ts";
import { file_google_rpc_error_details } from "./standard/gen/google/rpc/error_details_pb.ts";
import { file_google_rpc_status } from "./standard/gen/google/rpc/status_pb.ts";
import { file_grpc_health_v1_health } from "./standard/gen/grpc/health/v1/health_pb.ts";
import {
  ErrorResponseSchema,
  ExtensionNumberResponseSchema,
  file_grpc_reflection_v1_reflection,
  FileDescriptorResponseSchema,
  ListServiceResponseSchema,
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "./standard/gen/grpc/reflection/v1/reflection_pb.ts";
import { file_grpc_reflection_v1alpha_reflection } from "./standard/gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { Status, StatusError } from "./status.ts";

const STANDARD_FILES = [
  file_google_rpc_error_details,
  file_google_rpc_status,
  file_grpc_health_v1_health,
  file_grpc_reflection_v1_reflection,
  file_grpc_reflection_v1alpha_reflection,
];

type Answer = ServerReflectionResponse["messageResponse"];

/** Answers what tools ask of a server. */
export class Reflector {
  readonly #server: GrpcServer;
  readonly #files: ReadonlyMap<string, DescFile>;
  readonly #registry: Registry;

  /** Knows the services of the server, and the files of a serialized FileDescriptorSet and of gRPC's own services. */
  constructor(server: GrpcServer, schemas: Uint8Array) {
    this.#server = server;
    const theirs = [...createFileRegistry(fromBinary(FileDescriptorSetSchema, schemas)).files];
    const all = [...theirs, ...STANDARD_FILES].flatMap(withImports);
    this.#files = new Map(all.map((file) => [file.proto.name, file]));
    this.#registry = createRegistry(...all);
  }

  /** One answer for each question, until they end. */
  async answerAll(requests: AsyncIterable<Uint8Array>, call: StreamingServerCall): Promise<void> {
    for await (const bytes of requests) {
      const request = readRequest(bytes);
      await call.write(toBinary(
        ServerReflectionResponseSchema,
        create(ServerReflectionResponseSchema, {
          validHost: request.host,
          originalRequest: request,
          messageResponse: this.#answer(request.messageRequest),
        }),
      ));
    }
  }

  #answer(request: ServerReflectionRequest["messageRequest"]): Answer {
    switch (request.case) {
      case "listServices": {
        const services = this.#server.services.map((name) => ({ name }));
        return {
          case: "listServicesResponse",
          value: create(ListServiceResponseSchema, { service: services }),
        };
      }
      case "fileByFilename":
        return files(this.#files.get(request.value), `file "${request.value}"`);
      case "fileContainingSymbol":
        return files(this.#fileOf(request.value), `symbol "${request.value}"`);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = request.value;
        return notFound(`extension ${extensionNumber} of "${containingType}"`);
      }
      case "allExtensionNumbersOfType":
        // The files have no extensions (proto3).
        return this.#registry.getMessage(request.value) === undefined
          ? notFound(`message "${request.value}"`)
          : {
            case: "allExtensionNumbersResponse",
            value: create(ExtensionNumberResponseSchema, { baseTypeName: request.value }),
          };
      case undefined:
        return failure(Status.INVALID_ARGUMENT, "the request asks nothing");
    }
  }

  /** The file of a service, message or enum, or of the one that a method, field or value belongs to. */
  #fileOf(symbol: string): DescFile | undefined {
    const name = symbol.replace(/^\./, "");
    const found = this.#registry.get(name);
    if (found !== undefined) return found.file;
    const dot = name.lastIndexOf(".");
    const owner = this.#registry.get(name.slice(0, Math.max(0, dot)));
    const member = name.slice(dot + 1);
    switch (owner?.kind) {
      case "service":
        return owner.methods.some((method: DescMethod) => method.name === member) ? owner.file : undefined;
      case "message":
        return owner.members.some(({ name }) => name === member) ? owner.file : undefined;
      case "enum":
        return owner.values.some((value) => value.name === member) ? owner.file : undefined;
      default:
        return undefined;
    }
  }
}

function readRequest(bytes: Uint8Array): ServerReflectionRequest {
  try {
    return fromBinary(ServerReflectionRequestSchema, bytes);
  } catch (cause) {
    throw new StatusError(Status.INVALID_ARGUMENT, "the request is no ServerReflectionRequest", { cause });
  }
}

/** A file behind everything that it imports. */
function withImports(file: DescFile): DescFile[] {
  return [...new Set([...file.dependencies.flatMap(withImports), file])];
}

function files(file: DescFile | undefined, what: string): Answer {
  if (file === undefined) return notFound(what);
  const fileDescriptorProto = withImports(file).reverse().map(({ proto }) =>
    toBinary(FileDescriptorProtoSchema, proto)
  );
  return {
    case: "fileDescriptorResponse",
    value: create(FileDescriptorResponseSchema, { fileDescriptorProto }),
  };
}

function notFound(what: string): Answer {
  return failure(Status.NOT_FOUND, `there is no ${what}`);
}

function failure(errorCode: Status, errorMessage: string): Answer {
  return { case: "errorResponse", value: create(ErrorResponseSchema, { errorCode, errorMessage }) };
}
