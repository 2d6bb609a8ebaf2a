/**
 * Turns packet forwarding on, which containers need to reach out, without turning the host into a router between its own
 * interfaces: the interfaces present at that moment are remembered, and the firewall keeps new connections from passing between
 * them. (Docker sets the whole FORWARD chain to DROP instead, which breaks virtual machines and other routers of the host.)
 */
import { listLinks, type NetlinkSocket } from '@boxship/linux';
import type { Store } from './store/store.ts';
import { readSysctl, writeSysctl } from './sysctl.ts';

const metaKey = 'uplinks';

interface Remembered {
  readonly bootId: string;
  readonly names: readonly string[];
}

/** Interfaces between which the host must not begin to forward. */
export function enableForwarding(route: NetlinkSocket, store: Store, bootId: string): readonly string[] {
  const text = store.meta(metaKey);
  const remembered = text === undefined ? undefined : (JSON.parse(text) as Remembered);
  if (readSysctl('net/ipv4/ip_forward') === '1') return remembered?.bootId === bootId ? remembered.names : [];
  const names = listLinks(route)
    .filter((link) => link.name !== 'lo' && link.kind !== 'bridge' && link.masterIndex === undefined)
    .map((link) => link.name);
  store.setMeta(metaKey, JSON.stringify({ bootId, names } satisfies Remembered)); // before: a crash in between leaves it safe
  writeSysctl('net/ipv4/ip_forward', '1');
  return names;
}

/** The same for IPv6. A host that takes its routes from router advertisements would stop doing so: that is kept on. */
export function enableIPv6Forwarding(route: NetlinkSocket): void {
  if (readSysctl('net/ipv6/conf/all/forwarding') !== '0') return;
  for (const { name } of listLinks(route))
    if (readSysctl(`net/ipv6/conf/${name}/accept_ra`) === '1') writeSysctl(`net/ipv6/conf/${name}/accept_ra`, '2');
  writeSysctl('net/ipv6/conf/all/forwarding', '1');
}
