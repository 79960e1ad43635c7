/**
 * The wire of fast publishing and consuming: generated messages and descriptor of `msgbus.v1.StreamService`. An entry of
 * its own: who uses neither does not load it.
 *
 * @module
 */
export * from "./gen/msgbus/v1/stream_pb.ts";
