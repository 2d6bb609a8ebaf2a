/** Connections that the kernel tracks and that a change of ports makes wrong. */
import { deleteConnections, type NetlinkSocket } from '@boxship/linux';
import { type FirewallPort, protocolNumber } from './firewall.ts';

/** Clients that keep sending UDP would go on to reach what the port meant before. */
export function forgetFlows(conntrack: NetlinkSocket, ports: readonly FirewallPort[]): void {
  const numbers = new Set(
    ports.filter(({ protocol, hostPort }) => protocol === 'udp' && hostPort !== 0).map(({ hostPort }) => hostPort),
  );
  for (const number of numbers) deleteConnections(conntrack, protocolNumber.udp, number);
}
