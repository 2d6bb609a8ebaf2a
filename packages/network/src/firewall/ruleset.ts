/**
 * The rules of the engine as one nftables table, `inet boxship-<instance>`: static chains, and sets and maps that hold all that
 * changes. A published port is two map elements; a network is a few set elements. The table touches only packets of our own
 * bridges: what another program's table drops stays dropped, and what it accepts is still judged here.
 *
 *   guard    raw prerouting   nothing from outside claims a loopback address (route_localnet is on for our bridges)
 *   pre/out  nat              packets to an address of this host whose port is published go to the container
 *   post     nat              source addresses: loopback and hairpin connections, and containers that go out
 *   forward  filter           who may speak to whom
 *
 * Lessons from the field: in postrouting the input interface cannot be matched (under br_netfilter a translated frame is
 * bridged and has none), hence source addresses there; `fwd` and, in output, `dstnat` are words nft reserves.
 */
import {
  addressToBytes,
  intervalElements,
  type NftBatch,
  nftField,
  type SetElement,
  nftExpression as x,
} from '@boxship/linux';
import { firstOf, lastOf, numberToAddress, parsePrefix } from '../ipam/prefix.ts';

/** One network as the firewall sees it. */
export interface FirewallNetwork {
  readonly bridge: string;
  readonly subnets: readonly string[];
  readonly isInternal: boolean;
  /** Containers of the network reach each other. */
  readonly isIccEnabled: boolean;
  readonly isMasqueraded: boolean;
}

/** One published port. */
export interface FirewallPort {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  /** `0.0.0.0` and `::` mean every address. */
  readonly hostIp: string;
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

export const protocolNumber = { tcp: 6, udp: 17, sctp: 132 } as const;

const ip = { source: { 4: [12, 4], 6: [8, 16] }, destination: { 4: [16, 4], 6: [24, 16] } } as const;
const isFamily = (family: 4 | 6) => [
  x.meta(x.metaKey.nfProto),
  x.compare('==', Buffer.from([family === 4 ? x.nfProto.ipv4 : x.nfProto.ipv6])),
];
const load = (side: 'source' | 'destination', family: 4 | 6) => x.payload(1, ip[side][family][0], ip[side][family][1]);
const from = (set: string) => [x.meta(x.metaKey.iifName), x.lookup(set)];
const notFrom = (set: string) => [x.meta(x.metaKey.iifName), x.lookup(set, { isInverted: true })];
const to = (set: string) => [x.meta(x.metaKey.oifName), x.lookup(set)];
const notTo = (set: string) => [x.meta(x.metaKey.oifName), x.lookup(set, { isInverted: true })];
const fromLoopback = (operator: '==' | '!=') => [x.meta(x.metaKey.iifName), x.compare(operator, x.interfaceName('lo'))];

/** protocol . port from register word `at` on. */
const protocolAndPort = (at: number) => [x.meta(x.metaKey.l4Proto, at), x.payload(2, 2, 2, at + 1)];
// an address of n bytes fills the words 8 … 8 + n/4 − 1
const afterAddress = (family: 4 | 6): number => (family === 4 ? 9 : 12);
const families = [4, 6] as const;

/** Fills an empty batch with the whole table; replaces any table of that name in the same transaction. */
export function wholeTable(batch: NftBatch, state: FirewallState): NftBatch {
  batch.addTable().deleteTable().addTable();
  addSets(batch);
  addChains(batch);
  addNetworks(batch, state.networks);
  batch.addElements(
    'uplinks',
    state.uplinks.map((name) => ({ key: x.interfaceName(name) })),
  );
  for (const [set, elements] of portElements(state.ports)) batch.addElements(set, elements);
  return batch;
}

function addSets(batch: NftBatch): void {
  for (const name of ['bridges', 'internal', 'uplinks']) batch.addSet(name, { key: ['interface'] });
  batch.addSet('icc', { key: ['interface', 'interface'] });
  for (const family of families) {
    const address = family === 4 ? 'ipv4' : 'ipv6';
    batch.addSet(`pool${family}`, { key: [address], isInterval: true });
    batch.addSet(`masquerade${family}`, { key: [address], isInterval: true });
    batch.addSet(`open${family}`, { key: [address, 'protocol', 'port'] });
    batch.addSet(`port${family}`, { key: [address, 'protocol', 'port'], data: [address, 'port'] });
    batch.addSet(`anyport${family}`, { key: ['protocol', 'port'], data: [address, 'port'] });
  }
}

function addChains(batch: NftBatch): void {
  batch
    .addChain('guard', { type: 'filter', hook: 'prerouting', priority: -300 })
    .addChain('publish')
    .addChain('pre', { type: 'nat', hook: 'prerouting', priority: -100 })
    .addChain('out', { type: 'nat', hook: 'output', priority: -100 })
    .addChain('post', { type: 'nat', hook: 'postrouting', priority: 100 })
    .addChain('forward', { type: 'filter', hook: 'forward', priority: 0 });

  for (const side of ['destination', 'source'] as const)
    batch.addRule('guard', [
      ...fromLoopback('!='),
      ...isFamily(4),
      x.payload(1, ip[side][4][0], 1),
      x.compare('==', Buffer.from([127])),
      x.verdict('drop'),
    ]);

  const toSelf = [...x.isLocalAddress('destination'), x.verdict('jump', 'publish')];
  batch.addRule('pre', toSelf);
  // IPv6 has no route_localnet: connections to ::1 are served by the listener that reserves the port
  batch.addRule('out', [...isFamily(4), ...toSelf]);
  batch.addRule('out', [...isFamily(6), load('destination', 6), x.compare('!=', addressToBytes('::1')), ...toSelf]);
  for (const family of families) {
    const after = afterAddress(family);
    const target = { address: 1, port: after };
    batch.addRule('publish', [
      ...isFamily(family),
      load('destination', family),
      ...protocolAndPort(after),
      x.lookup(`port${family}`, { into: 1 }),
      x.dnat(family, target),
    ]);
    batch.addRule('publish', [
      ...isFamily(family),
      ...protocolAndPort(8),
      x.lookup(`anyport${family}`, { register: 8, into: 1 }),
      x.dnat(family, target),
    ]);
  }

  const translated = [...to('bridges'), ...x.ctStatusHas(x.ctStatus.dnat)];
  batch.addRule('post', [...translated, ...x.isLocalAddress('source'), x.masquerade()]);
  for (const family of families)
    batch.addRule('post', [
      ...translated,
      ...isFamily(family),
      load('source', family),
      x.lookup(`pool${family}`),
      x.masquerade(),
    ]);
  for (const family of families)
    batch.addRule('post', [
      ...isFamily(family),
      load('source', family),
      x.lookup(`masquerade${family}`),
      ...notTo('bridges'),
      x.masquerade(),
    ]);

  batch.addRule('forward', [...from('uplinks'), ...to('uplinks'), ...x.ctStateIs(x.ctState.new), x.verdict('drop')]);
  batch.addRule('forward', [...notFrom('bridges'), ...notTo('bridges'), x.verdict('accept')]);
  batch.addRule('forward', [...x.ctStateIs(x.ctState.established | x.ctState.related), x.verdict('accept')]);
  batch.addRule('forward', [...x.ctStateIs(x.ctState.invalid), x.verdict('drop')]);
  batch.addRule('forward', [
    x.meta(x.metaKey.iifName),
    x.meta(x.metaKey.oifName, 2),
    x.lookup('icc'),
    x.verdict('accept'),
  ]);
  batch.addRule('forward', [...from('internal'), x.verdict('drop')]);
  for (const family of families)
    batch.addRule('forward', [
      ...translated,
      ...isFamily(family),
      load('destination', family),
      ...protocolAndPort(afterAddress(family)),
      x.lookup(`open${family}`),
      x.verdict('accept'),
    ]);
  batch.addRule('forward', [...to('bridges'), x.counter(), x.verdict('drop')]);
}

function addNetworks(batch: NftBatch, networks: readonly FirewallNetwork[]): void {
  const interfaces = (chosen: readonly FirewallNetwork[]): SetElement[] =>
    chosen.map(({ bridge }) => ({ key: x.interfaceName(bridge) }));
  batch.addElements('bridges', interfaces(networks));
  batch.addElements('internal', interfaces(networks.filter((network) => network.isInternal)));
  const open = networks.filter((network) => network.isIccEnabled).map(({ bridge }) => x.interfaceName(bridge));
  batch.addElements(
    'icc',
    open.map((name) => ({ key: Buffer.concat([name, name]) })),
  );
  for (const { subnets, isMasqueraded } of networks)
    for (const subnet of subnets) {
      const prefix = parsePrefix(subnet);
      const bytes = (number: bigint): Buffer => addressToBytes(numberToAddress(number, prefix.family));
      const range = intervalElements(bytes(firstOf(prefix)), bytes(lastOf(prefix)));
      batch.addElements(`pool${prefix.family}`, range);
      if (isMasqueraded) batch.addElements(`masquerade${prefix.family}`, range);
    }
}

/** The elements of ports, by set. A container port published twice is open once. */
export function portElements(ports: readonly FirewallPort[]): Map<string, SetElement[]> {
  const sets = new Map<string, SetElement[]>();
  const opened = new Set<string>();
  const add = (set: string, element: SetElement): void => {
    const elements = sets.get(set);
    if (elements === undefined) sets.set(set, [element]);
    else elements.push(element);
  };
  for (const port of ports) {
    const family = port.containerIp.includes(':') ? 6 : 4;
    if (port.hostIp.includes(':') !== (family === 6)) continue; // the other family is carried by the listener
    const protocol = nftField.protocol(protocolNumber[port.protocol]);
    const hostPort = nftField.port(port.hostPort);
    const container = nftField.address(port.containerIp);
    const data = Buffer.concat([container, nftField.port(port.containerPort)]);
    if (port.hostIp === '0.0.0.0' || port.hostIp === '::')
      add(`anyport${family}`, { key: Buffer.concat([protocol, hostPort]), data });
    else add(`port${family}`, { key: Buffer.concat([nftField.address(port.hostIp), protocol, hostPort]), data });
    const name = `${port.containerIp} ${port.protocol} ${port.containerPort}`;
    if (opened.has(name)) continue;
    opened.add(name);
    add(`open${family}`, { key: Buffer.concat([container, protocol, nftField.port(port.containerPort)]) });
  }
  return sets;
}
