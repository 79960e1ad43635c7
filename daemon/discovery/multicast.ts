/** Where packets come from and go to: the local network, or a test. */
export interface Multicast {
  send(packet: Uint8Array): Promise<void>;
  /** The next packet and the IP address that sent it; undefined when it was closed. */
  receive(): Promise<{ readonly packet: Uint8Array; readonly from: string } | undefined>;
  /** Whether an IP address is one of this machine. */
  isOwn(address: string): boolean;
  close(): void;
}

/** The group and the port of multicast DNS (RFC 6762 §3). */
const GROUP = "224.0.0.251";
const PORT = 5353;

/**
 * Multicast DNS on the interface with this address; 0.0.0.0 leaves the choice to the system. The port is shared with
 * other programs of the machine. Rejects when the network has no multicast.
 */
export async function openMulticast(interfaceAddress: string): Promise<Multicast> {
  const listen = (hostname: string) =>
    Deno.listenDatagram({ transport: "udp", hostname, port: PORT, reuseAddress: true, loopback: true });
  const incoming = listen("0.0.0.0");
  let outgoing: Deno.DatagramConn | undefined;
  try {
    await incoming.joinMulticastV4(GROUP, interfaceAddress);
    // A socket that is bound to an interface's address sends through that interface.
    outgoing = interfaceAddress === "0.0.0.0" ? incoming : listen(interfaceAddress);
  } catch (error) {
    incoming.close();
    throw error;
  }
  const sender = outgoing;
  let closed = false;
  return {
    async send(packet) {
      await sender.send(packet, { transport: "udp", hostname: GROUP, port: PORT });
    },
    async receive() {
      try {
        const [packet, from] = await incoming.receive();
        return { packet, from: from.transport === "udp" ? from.hostname : "" };
      } catch (error) {
        if (closed) return undefined;
        throw error;
      }
    },
    isOwn(address) {
      try {
        Deno.listenDatagram({ transport: "udp", hostname: address, port: 0 }).close();
        return true;
      } catch {
        return false; // only one's own addresses can be bound
      }
    },
    close() {
      if (closed) return;
      closed = true;
      incoming.close();
      if (sender !== incoming) sender.close();
    },
  };
}
