/**
 * The contract of the firewall: what packets may do between containers, the host and its neighbours. The controller says what
 * is (networks, published ports); a driver keeps the kernel's rules equal to it and makes them again when another program takes
 * them away. Promises of every driver, proved by packets in `testsuite/firewall.ts`:
 *
 * - a published port is reached at every address it is published on: from the neighbours, from the host (loopback too), from
 *   containers of any network, from the container itself; the client's address arrives where it need not be replaced
 * - networks do not reach each other, internal ones do not reach the world and are not reached
 * - neighbours reach neither a container past its published ports, nor a port published on loopback
 * - a change is one transaction per family: no moment without rules, open connections live on
 * - rules of others stay as they are, wherever ours stand; nothing of ours is left after {@link Firewall.remove}
 */

/** How the containers of a network are seen from outside, by family (Docker's `gateway_mode_ipv4` and `…_ipv6`). */
export const gatewayModes = ['nat', 'nat-unprotected', 'routed', 'isolated'] as const;
export type GatewayMode = (typeof gatewayModes)[number];

export interface FirewallSubnet {
  readonly subnet: string;
  /**
   * `nat`: only published ports, through addresses of the host. `nat-unprotected`: every port also at the container's own
   * address. `routed`: published ports at the container's own address alone. `isolated`: the host is not in the network.
   */
  readonly mode: GatewayMode;
  /** What containers that go out are seen as: themselves, the interface they leave by, or a given address of the host. */
  readonly source: 'keep' | 'masquerade' | { readonly address: string };
}

/** One network as the firewall sees it. */
export interface FirewallNetwork {
  readonly bridge: string;
  readonly subnets: readonly FirewallSubnet[];
  readonly isInternal: boolean;
  /** Containers of the network reach each other. */
  readonly isIccEnabled: boolean;
  /** Interfaces of the host by which published ports are also reached at the container's own address. */
  readonly trustedInterfaces: readonly string[];
}

/** One published port. */
export interface FirewallPort {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  /** `0.0.0.0` and `::` mean every address. */
  readonly hostIp: string;
  /** 0: of a routed network, reached at the container's own address only. */
  readonly hostPort: number;
  readonly containerIp: string;
  readonly containerPort: number;
}

export interface FirewallState {
  readonly networks: readonly FirewallNetwork[];
  readonly ports: readonly FirewallPort[];
  /** Interfaces between which the host did not forward before the engine turned forwarding on, and must not begin to. */
  readonly uplinks: readonly string[];
}

export interface FirewallOptions {
  /** Marks what is ours. */
  readonly instanceId: string;
  /** The state that the rules are to express, asked for whenever they are made as a whole. */
  readonly state: () => FirewallState;
  /** False: rules for IPv6 are left to others (`--ip6tables=false`). */
  readonly hasIPv6: boolean;
  /** Connections from outside to published ports pass the host's INPUT chains first. */
  readonly obeysInput: boolean;
}

export interface Firewall extends AsyncDisposable {
  readonly backend: 'nftables' | 'iptables' | 'none';
  /** Makes all rules equal to the state. */
  rebuild(): Promise<void>;
  /** Replaces ports: published ones are an empty `before`, withdrawn ones an empty `after`. Those in both stay untouched. */
  move(before: readonly FirewallPort[], after: readonly FirewallPort[]): Promise<void>;
  /** From now on keeps the rules against other programs. */
  watch(): void;
  /** Takes everything of ours out. */
  remove(): Promise<void>;
}

export const protocolNumber = { tcp: 6, udp: 17, sctp: 132 } as const;

export const familyOf = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4);

/** Ports whose two sides are of one family: the others are carried by the listeners. */
export const isTranslatable = (port: FirewallPort): boolean => familyOf(port.hostIp) === familyOf(port.containerIp);

/** Says the same of ports that are the same. */
export const portKey = (port: FirewallPort): string =>
  `${port.protocol} ${port.hostIp} ${port.hostPort} ${port.containerIp} ${port.containerPort}`;

/** The ports of one list that are not in the other. */
export function portsWithout(ports: readonly FirewallPort[], others: readonly FirewallPort[]): FirewallPort[] {
  if (others.length === 0) return [...ports];
  const keys = new Set(others.map(portKey));
  return ports.filter((port) => !keys.has(portKey(port)));
}
