/** Payload and header bytes, and 256 per message, that one PublishStream may have on their way to the disk; then the daemon reads no more of it. */
export const MAX_STREAM_PENDING_BYTES = 8 << 20;
