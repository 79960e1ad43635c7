/**
 * The msgbus wire contract: generated messages and service descriptors of `msgbus.v1`.
 *
 * @module
 */
export * from "./gen/msgbus/v1/msgbus_pb.ts";
