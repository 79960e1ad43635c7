import { ErrorCode } from "./error_code.ts";
import { Http2Error } from "./http2_error.ts";
import type { Http2Limits } from "./limits.ts";
import type { Http2Role } from "./role.ts";

/** Identifiers of SETTINGS parameters (RFC 9113 §6.5.2). */
export const SettingId = {
  HEADER_TABLE_SIZE: 0x1,
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
} as const;

/** A window before any SETTINGS or WINDOW_UPDATE (RFC 9113 §6.9.2). */
export const DEFAULT_WINDOW_BYTES = 65_535;
/** The largest window there may be (RFC 9113 §6.9.1). */
export const MAX_WINDOW_BYTES = 0x7fff_ffff;

const MIN_MAX_FRAME_BYTES = 16_384;
const MAX_MAX_FRAME_BYTES = 16_777_215;

/** What the peer told us of itself, with the RFC's initial values before it did. */
export interface PeerSettings {
  headerTableBytes: number;
  maxConcurrentStreams: number;
  initialWindowBytes: number;
  maxFrameBytes: number;
  maxHeaderListBytes: number;
}

/**
 * What we assume of streams until the peer's SETTINGS tell: the RFC's initial value is no limit, but a peer that then
 * announces less would have refused the rest. 100 is the least that it recommends (RFC 9113 §6.5.2).
 */
const ASSUMED_CONCURRENT_STREAMS = 100;

/** The RFC's initial values, but for the number of streams. */
export function initialPeerSettings(): PeerSettings {
  return {
    headerTableBytes: 4_096,
    maxConcurrentStreams: ASSUMED_CONCURRENT_STREAMS,
    initialWindowBytes: DEFAULT_WINDOW_BYTES,
    maxFrameBytes: MIN_MAX_FRAME_BYTES,
    maxHeaderListBytes: Infinity,
  };
}

/** What we announce, from our limits. */
export function announcedSettings(
  limits: Http2Limits,
  role: Http2Role,
): readonly (readonly [number, number])[] {
  return [
    [SettingId.HEADER_TABLE_SIZE, limits.headerTableBytes],
    // A client refuses pushes; a server may not send the parameter with another value than 0 (§6.5.2), so it sends none.
    ...(role === "client"
      ? [[SettingId.ENABLE_PUSH, 0] as const]
      : [[SettingId.MAX_CONCURRENT_STREAMS, limits.maxConcurrentStreams] as const]),
    [SettingId.INITIAL_WINDOW_SIZE, limits.streamWindowBytes],
    [SettingId.MAX_FRAME_SIZE, limits.maxFrameBytes],
    [SettingId.MAX_HEADER_LIST_SIZE, limits.maxHeaderListBytes],
  ];
}

/** Applies a SETTINGS payload to `settings`, in order (§6.5.3). Throws a connection error for a value out of range. */
export function applySettings(settings: PeerSettings, payload: Uint8Array, from: Http2Role): void {
  if (payload.length % 6 !== 0) {
    throw new Http2Error(
      ErrorCode.FRAME_SIZE_ERROR,
      `SETTINGS of ${payload.length} bytes is not a multiple of 6`,
    );
  }
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  for (let at = 0; at < payload.length; at += 6) {
    applySetting(settings, view.getUint16(at), view.getUint32(at + 2), from);
  }
}

function applySetting(
  settings: PeerSettings,
  identifier: number,
  value: number,
  from: Http2Role,
): void {
  switch (identifier) {
    case SettingId.HEADER_TABLE_SIZE:
      settings.headerTableBytes = value;
      return;
    case SettingId.ENABLE_PUSH:
      if (value > 1 || (from === "server" && value === 1)) {
        throw new Http2Error(ErrorCode.PROTOCOL_ERROR, `SETTINGS_ENABLE_PUSH is ${value}`);
      }
      return;
    case SettingId.MAX_CONCURRENT_STREAMS:
      settings.maxConcurrentStreams = value;
      return;
    case SettingId.INITIAL_WINDOW_SIZE:
      if (value > MAX_WINDOW_BYTES) {
        throw new Http2Error(ErrorCode.FLOW_CONTROL_ERROR, `SETTINGS_INITIAL_WINDOW_SIZE is ${value}`);
      }
      settings.initialWindowBytes = value;
      return;
    case SettingId.MAX_FRAME_SIZE:
      if (value < MIN_MAX_FRAME_BYTES || value > MAX_MAX_FRAME_BYTES) {
        throw new Http2Error(ErrorCode.PROTOCOL_ERROR, `SETTINGS_MAX_FRAME_SIZE is ${value}`);
      }
      settings.maxFrameBytes = value;
      return;
    case SettingId.MAX_HEADER_LIST_SIZE:
      settings.maxHeaderListBytes = value;
      return;
    default:
      // An unknown parameter must be ignored (§6.5.2).
      return;
  }
}
