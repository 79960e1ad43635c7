import type { ServerCall } from "@msgbus/grpc/server";
import type { BusAccess } from "../bus/bus_access.ts";

/** The bus as the caller may use it. Throws StatusError when the caller is nobody. */
export type BusOf = (call: ServerCall) => BusAccess;
