/** Which side of a connection this is. */
export type Http2Role = "client" | "server";
