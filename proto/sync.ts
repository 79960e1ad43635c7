/**
 * The wire between daemons: generated messages and descriptor of `msgbus.v1.SyncService`. An entry of its own: who copies
 * from nobody does not load it.
 *
 * @module
 */
export * from "./gen/msgbus/v1/sync_pb.ts";
