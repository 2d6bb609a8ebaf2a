/**
 * What holds a published port against other programs of the host: a real listener on it. The kernel's translation takes
 * connections before they reach it; what translation cannot do (`::1`, IPv6 clients of a container without IPv6) or does not do
 * just now (another program flushed the rules) arrives here and is carried to the container by this process.
 */
import type { PortRequest } from '../controller.ts';
import type { PortListener } from './port-listener.ts';
import { listenTcp } from './tcp-listener.ts';
import { listenUdp } from './udp-listener.ts';

/** @throws the system's error (EADDRINUSE, EADDRNOTAVAIL, EACCES) */
export async function listenPort(
  protocol: PortRequest['protocol'],
  address: string,
  port: number,
): Promise<PortListener> {
  if (protocol === 'tcp') return await listenTcp(address, port);
  if (protocol === 'udp') return await listenUdp(address, port);
  // SCTP: translation needs no socket, and there is none in Node
  return { target: undefined, [Symbol.dispose]() {} };
}
