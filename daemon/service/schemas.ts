import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { file_msgbus_v1_msgbus } from "@msgbus/proto";
import { file_msgbus_v1_stream } from "@msgbus/proto/stream";
import { file_msgbus_v1_sync } from "@msgbus/proto/sync";

/** The files of `msgbus.v1` as a serialized `google.protobuf.FileDescriptorSet`. */
export function schemas(): Uint8Array {
  const file = [file_msgbus_v1_msgbus.proto, file_msgbus_v1_stream.proto, file_msgbus_v1_sync.proto];
  return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file }));
}
