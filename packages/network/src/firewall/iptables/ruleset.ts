/**
 * The rules in the chains that Docker uses, so that scripts and administrators find them where they expect them:
 *
 *   filter FORWARD → DOCKER-USER (the administrator's, kept) → DOCKER-FORWARD → DOCKER-CT, DOCKER-ISOLATION-STAGE-1/2,
 *                    DOCKER-BRIDGE → DOCKER (published ports, then what else reaches a bridge)
 *   nat    PREROUTING, OUTPUT → DOCKER (translation of published ports); POSTROUTING (source addresses)
 *   raw    PREROUTING → DOCKER (nobody outside claims an address of loopback or of a container)
 *
 * Each rule bears a comment with the engine's name: by it ours are told from those of another engine in the same chains. They
 * are spelled exactly as `iptables-save` prints them, because that is what they are compared with.
 */
import { formatPrefix, parsePrefix } from '../../ipam/prefix.ts';
import {
  type FirewallNetwork,
  type FirewallPort,
  type FirewallState,
  type FirewallSubnet,
  familyOf,
  isTranslatable,
} from '../firewall.ts';
import type { Rules } from './tables.ts';

/** Chains that are ours to make and to remove. DOCKER-USER is not: it holds what the administrator wrote. */
export const ownChains: ReadonlySet<string> = new Set([
  'DOCKER-FORWARD',
  'DOCKER-CT',
  'DOCKER-ISOLATION-STAGE-1',
  'DOCKER-ISOLATION-STAGE-2',
  'DOCKER-BRIDGE',
  'DOCKER',
]);
export const headChains: ReadonlySet<string> = new Set(['FORWARD', 'PREROUTING']);

const icmp = { 4: '-p icmp', 6: '-p ipv6-icmp' } as const;
const established = '-m conntrack --ctstate RELATED,ESTABLISHED';
const translated = '-m conntrack --ctstate DNAT';
const toHost = '-m addrtype --dst-type LOCAL';

interface OfFamily {
  readonly network: FirewallNetwork;
  readonly bridge: string;
  /** undefined: the network has none of this family. */
  readonly subnet: FirewallSubnet | undefined;
  readonly prefix: string;
}

/** All rules of a family, by table and chain. */
export function iptablesRules(family: 4 | 6, state: FirewallState, comment: string): Rules {
  const networks = state.networks.map((network): OfFamily => {
    const subnet = network.subnets.find((candidate) => familyOf(candidate.subnet) === family);
    const prefix = subnet === undefined ? '' : formatPrefix(parsePrefix(subnet.subnet));
    return { network, bridge: network.bridge, subnet, prefix };
  });
  const ports = unique(state.ports.filter((port) => isTranslatable(port) && familyOf(port.containerIp) === family));
  const tables = {
    filter: filterTable(family, networks, ports, state.uplinks),
    nat: natTable(family, networks, ports),
    raw: rawTable(family, networks),
  };
  // every rule has one target, at its end
  const marked = (rule: string): string => rule.replace(/(^| )-j /, `$1-m comment --comment ${comment} -j `);
  return new Map(
    Object.entries(tables).map(([table, chains]) => [
      table,
      new Map(Object.entries(chains).map(([chain, rules]) => [chain, rules.map(marked)])),
    ]),
  );
}

function unique(ports: readonly FirewallPort[]): FirewallPort[] {
  return [...new Map(ports.map((port) => [JSON.stringify(port), port])).values()];
}

const bridgeOf = (networks: readonly OfFamily[], address: string): OfFamily | undefined =>
  networks.find(({ prefix }) => {
    if (prefix === '') return false;
    const { length, address: base } = parsePrefix(prefix);
    return parsePrefix(`${address}/${length}`).address === base;
  });

function filterTable(
  family: 4 | 6,
  networks: readonly OfFamily[],
  ports: readonly FirewallPort[],
  uplinks: readonly string[],
): Record<string, string[]> {
  const each = (rules: (of: OfFamily) => readonly string[]): string[] => networks.flatMap((of) => [...rules(of)]);
  const isRouted = ({ subnet }: OfFamily): boolean => subnet?.mode === 'routed';
  return {
    'DOCKER-USER': [],
    FORWARD: ['-j DOCKER-USER', '-j DOCKER-FORWARD'],
    'DOCKER-FORWARD': [
      ...uplinks.flatMap((from) => uplinks.map((to) => `-i ${from} -o ${to} -m conntrack --ctstate NEW -j DROP`)),
      '-j DOCKER-CT',
      ...each(({ network, bridge }) => (network.isIccEnabled ? [`-i ${bridge} -o ${bridge} -j ACCEPT`] : [])),
      '-j DOCKER-ISOLATION-STAGE-1',
      '-j DOCKER-BRIDGE',
      ...each(({ bridge }) => [`-i ${bridge} -j ACCEPT`]),
    ],
    'DOCKER-CT': each(({ bridge }) => [`-o ${bridge} ${established} -j ACCEPT`]),
    'DOCKER-ISOLATION-STAGE-1': each(({ network, bridge }) =>
      network.isInternal
        ? [`! -i ${bridge} -o ${bridge} -j DROP`, `-i ${bridge} ! -o ${bridge} -j DROP`]
        : [`-i ${bridge} ! -o ${bridge} -j DOCKER-ISOLATION-STAGE-2`],
    ),
    'DOCKER-ISOLATION-STAGE-2': [
      `${translated} -j RETURN`,
      ...each((of) => [`-o ${of.bridge} -j ${isRouted(of) ? 'RETURN' : 'DROP'}`]),
    ],
    'DOCKER-BRIDGE': each(({ bridge }) => [`-o ${bridge} -j DOCKER`]),
    DOCKER: [
      ...new Set(ports.flatMap((port) => portRules(bridgeOf(networks, port.containerIp), port))),
      ...each((of) => [
        ...(isRouted(of) ? [`-o ${of.bridge} ${icmp[family]} -j ACCEPT`] : []),
        ...(of.subnet?.mode === 'nat-unprotected' ? [`! -i ${of.bridge} -o ${of.bridge} -j ACCEPT`] : []),
        `-o ${of.bridge} -j DROP`,
      ]),
    ],
  };
}

const hostPrefix = (address: string): string =>
  `${formatPrefix(parsePrefix(`${address}/${familyOf(address) === 4 ? 32 : 128}`))}`;

function portRules(of: OfFamily | undefined, port: FirewallPort): string[] {
  if (of === undefined) return [];
  const { protocol, containerPort } = port;
  const to = `-p ${protocol} -m ${protocol} --dport ${containerPort}`;
  const address = `-d ${hostPrefix(port.containerIp)}`;
  if (port.hostPort === 0) return [`${address} -o ${of.bridge} ${to} -j ACCEPT`];
  return [
    `${address} -o ${of.bridge} ${to} ${translated} -j ACCEPT`,
    ...of.network.trustedInterfaces.map((name) => `${address} -i ${name} -o ${of.bridge} ${to} -j ACCEPT`),
  ];
}

function natTable(
  family: 4 | 6,
  networks: readonly OfFamily[],
  ports: readonly FirewallPort[],
): Record<string, string[]> {
  const target = ({ containerIp, containerPort }: FirewallPort): string =>
    family === 4 ? `${containerIp}:${containerPort}` : `[${containerIp}]:${containerPort}`;
  const isAny = ({ hostIp }: FirewallPort): boolean => hostIp === '0.0.0.0' || hostIp === '::';
  const translation = (port: FirewallPort): string =>
    `${isAny(port) ? '' : `-d ${hostPrefix(port.hostIp)} `}-p ${port.protocol} -m ${port.protocol} --dport ${port.hostPort} -j DNAT --to-destination ${target(port)}`;
  const published = ports.filter(({ hostPort }) => hostPort !== 0);
  return {
    PREROUTING: [`${toHost} -j DOCKER`],
    // IPv6 has no route_localnet: connections to ::1 are served by the listener that reserves the port
    OUTPUT: [`${family === 4 ? '' : '! -d ::1/128 '}${toHost} -j DOCKER`],
    // the port of one address comes before that of every address
    DOCKER: [...published.filter((port) => !isAny(port)), ...published.filter(isAny)].map(translation),
    POSTROUTING: networks.flatMap(({ bridge, subnet, prefix }) => {
      if (subnet === undefined) return [];
      const hairpin = `-s ${prefix} -o ${bridge} ${translated} -j MASQUERADE`;
      const fromHost = `-o ${bridge} -m addrtype --src-type LOCAL ${translated} -j MASQUERADE`;
      const out =
        subnet.source === 'keep'
          ? []
          : subnet.source === 'masquerade'
            ? [`-s ${prefix} ! -o ${bridge} -j MASQUERADE`]
            : [`-s ${prefix} ! -o ${bridge} -j SNAT --to-source ${subnet.source.address}`];
      return [fromHost, hairpin, ...out];
    }),
  };
}

function rawTable(family: 4 | 6, networks: readonly OfFamily[]): Record<string, string[]> {
  return {
    PREROUTING: ['-j DOCKER'],
    DOCKER: [
      '-i lo -j RETURN',
      ...(family === 4 ? ['-d 127.0.0.0/8 -j DROP', '-s 127.0.0.0/8 -j DROP'] : []),
      ...networks.flatMap(({ bridge, prefix }) => (prefix === '' ? [] : [`-s ${prefix} ! -i ${bridge} -j DROP`])),
    ],
  };
}
