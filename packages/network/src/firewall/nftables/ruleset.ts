/**
 * The rules of the engine as one nftables table, `inet boxship-<instance>`: static chains, and sets and maps that hold all that
 * changes. A published port is two map elements; a network is a few set elements. The table touches only packets of our own
 * bridges: what another program's table drops stays dropped, and what it accepts is still judged here.
 *
 *   guard    raw prerouting   nothing from outside claims a loopback address (route_localnet is on for our bridges) or a
 *                             container's
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
import { firstOf, lastOf, numberToAddress, parsePrefix } from '../../ipam/prefix.ts';
import {
  type FirewallNetwork,
  type FirewallOptions,
  type FirewallPort,
  type FirewallState,
  type FirewallSubnet,
  familyOf,
  isTranslatable,
  protocolNumber,
} from '../firewall.ts';
import { addInputMarks, comesFromOutside } from './input-policy.ts';

type Options = Pick<FirewallOptions, 'hasIPv6' | 'obeysInput'>;

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
const icmp = { 4: 1, 6: 58 } as const;
const translated = [...to('bridges'), ...x.ctStatusHas(x.ctStatus.dnat)];

/** Fills an empty batch with the whole table; replaces any table of that name in the same transaction. */
export function wholeTable(batch: NftBatch, state: FirewallState, options: Options): NftBatch {
  batch.addTable().deleteTable().addTable();
  addSets(batch);
  addTranslation(batch, options);
  addForwarding(batch, options);
  if (options.obeysInput) addInputMarks(batch);
  addNetworks(batch, state.networks, options);
  batch.addElements(
    'uplinks',
    state.uplinks.map((name) => ({ key: x.interfaceName(name) })),
  );
  for (const [set, elements] of portElements(state.ports, options)) batch.addElements(set, elements);
  return batch;
}

function addSets(batch: NftBatch): void {
  for (const name of ['bridges', 'internal', 'uplinks']) batch.addSet(name, { key: ['interface'] });
  for (const name of ['icc', 'trusted']) batch.addSet(name, { key: ['interface', 'interface'] });
  for (const family of families) {
    const address = family === 4 ? 'ipv4' : 'ipv6';
    batch.addSet(`pool${family}`, { key: [address], isInterval: true });
    batch.addSet(`masquerade${family}`, { key: [address], isInterval: true });
    batch.addSet(`source${family}`, { key: [address], data: [address], isInterval: true });
    for (const name of ['routed', 'unprotected']) batch.addSet(`${name}${family}`, { key: ['interface'] });
    for (const name of ['open', 'direct']) batch.addSet(`${name}${family}`, { key: [address, 'protocol', 'port'] });
    batch.addSet(`port${family}`, { key: [address, 'protocol', 'port'], data: [address, 'port'] });
    batch.addSet(`anyport${family}`, { key: ['protocol', 'port'], data: [address, 'port'] });
  }
}

function addTranslation(batch: NftBatch, options: Options): void {
  batch
    .addChain('guard', { type: 'filter', hook: 'prerouting', priority: -300 })
    .addChain('publish')
    .addChain('pre', { type: 'nat', hook: 'prerouting', priority: -100 })
    .addChain('out', { type: 'nat', hook: 'output', priority: -100 })
    .addChain('post', { type: 'nat', hook: 'postrouting', priority: 100 });

  for (const side of ['destination', 'source'] as const)
    batch.addRule('guard', [
      ...fromLoopback('!='),
      ...isFamily(4),
      x.payload(1, ip[side][4][0], 1),
      x.compare('==', Buffer.from([127])),
      x.verdict('drop'),
    ]);
  // nor the address of a container
  for (const family of families)
    batch.addRule('guard', [
      ...fromLoopback('!='),
      ...notFrom('bridges'),
      ...isFamily(family),
      load('source', family),
      x.lookup(`pool${family}`),
      x.verdict('drop'),
    ]);

  const toSelf = [...x.isLocalAddress('destination'), x.verdict('jump', 'publish')];
  if (options.obeysInput) batch.addRule('pre', [...comesFromOutside(), x.verdict('return')]);
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

  batch.addRule('post', [...translated, ...x.isLocalAddress('source'), x.masquerade()]);
  for (const family of families)
    batch.addRule('post', [
      ...translated,
      ...isFamily(family),
      load('source', family),
      x.lookup(`pool${family}`),
      x.masquerade(),
    ]);
  for (const family of families) {
    const goesOut = [...notTo('bridges'), ...isFamily(family), load('source', family)];
    batch.addRule('post', [...goesOut, x.lookup(`source${family}`, { into: 1 }), x.snat(family, 1)]);
    batch.addRule('post', [...goesOut, x.lookup(`masquerade${family}`), x.masquerade()]);
  }
}

function addForwarding(batch: NftBatch, options: Options): void {
  batch.addChain('forward', { type: 'filter', hook: 'forward', priority: 0 });
  if (!options.hasIPv6) batch.addRule('forward', [...isFamily(6), x.verdict('accept')]);
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
  const toPort = (family: 4 | 6, set: string) => [
    ...isFamily(family),
    load('destination', family),
    ...protocolAndPort(afterAddress(family)),
    x.lookup(set),
    x.verdict('accept'),
  ];
  const byTrusted = [x.meta(x.metaKey.iifName), x.meta(x.metaKey.oifName, 2), x.lookup('trusted')];
  for (const family of families) {
    batch.addRule('forward', [...translated, ...toPort(family, `open${family}`)]);
    batch.addRule('forward', [...byTrusted, ...toPort(family, `open${family}`)]);
    batch.addRule('forward', toPort(family, `direct${family}`));
    batch.addRule('forward', [
      ...isFamily(family),
      x.meta(x.metaKey.l4Proto),
      x.compare('==', Buffer.from([icmp[family]])),
      ...to(`routed${family}`),
      x.verdict('accept'),
    ]);
    const toUnprotected = [...isFamily(family), ...to(`unprotected${family}`)];
    batch.addRule('forward', [...notFrom('bridges'), ...toUnprotected, x.verdict('accept')]);
  }
  batch.addRule('forward', [...to('bridges'), x.counter(), x.verdict('drop')]);
}

function addNetworks(batch: NftBatch, networks: readonly FirewallNetwork[], options: Options): void {
  const interfaces = (chosen: readonly FirewallNetwork[]): SetElement[] =>
    chosen.map(({ bridge }) => ({ key: x.interfaceName(bridge) }));
  const pair = (from: string, to: string): SetElement => ({
    key: Buffer.concat([x.interfaceName(from), x.interfaceName(to)]),
  });
  batch.addElements('bridges', interfaces(networks));
  batch.addElements('internal', interfaces(networks.filter((network) => network.isInternal)));
  batch.addElements(
    'icc',
    networks.filter((network) => network.isIccEnabled).map(({ bridge }) => pair(bridge, bridge)),
  );
  for (const { bridge, subnets, trustedInterfaces } of networks) {
    batch.addElements(
      'trusted',
      trustedInterfaces.map((name) => pair(name, bridge)),
    );
    for (const subnet of subnets)
      if (options.hasIPv6 || familyOf(subnet.subnet) === 4) addSubnet(batch, bridge, subnet);
  }
}

function addSubnet(batch: NftBatch, bridge: string, { subnet, mode, source }: FirewallSubnet): void {
  const prefix = parsePrefix(subnet);
  const { family } = prefix;
  const bytes = (number: bigint): Buffer => addressToBytes(numberToAddress(number, family));
  const range = intervalElements(bytes(firstOf(prefix)), bytes(lastOf(prefix)));
  batch.addElements(`pool${family}`, range);
  if (source === 'masquerade') batch.addElements(`masquerade${family}`, range);
  else if (source !== 'keep') {
    const data = addressToBytes(source.address);
    batch.addElements(
      `source${family}`,
      range.map((element) => (element.isIntervalEnd === true ? element : { ...element, data })),
    );
  }
  if (mode === 'routed') batch.addElements(`routed${family}`, [{ key: x.interfaceName(bridge) }]);
  if (mode === 'nat-unprotected') batch.addElements(`unprotected${family}`, [{ key: x.interfaceName(bridge) }]);
}

/** The elements of ports, by set. A container port published twice is open once. */
export function portElements(ports: readonly FirewallPort[], options: Options): Map<string, SetElement[]> {
  const sets = new Map<string, SetElement[]>();
  const opened = new Set<string>();
  const add = (set: string, element: SetElement): void => {
    const elements = sets.get(set);
    if (elements === undefined) sets.set(set, [element]);
    else elements.push(element);
  };
  for (const port of ports) {
    const family = familyOf(port.containerIp);
    if (!isTranslatable(port) || (family === 6 && !options.hasIPv6)) continue;
    const protocol = nftField.protocol(protocolNumber[port.protocol]);
    const hostPort = nftField.port(port.hostPort);
    const container = nftField.address(port.containerIp);
    const data = Buffer.concat([container, nftField.port(port.containerPort)]);
    const isDirect = port.hostPort === 0;
    if (!isDirect) {
      if (port.hostIp === '0.0.0.0' || port.hostIp === '::')
        add(`anyport${family}`, { key: Buffer.concat([protocol, hostPort]), data });
      else add(`port${family}`, { key: Buffer.concat([nftField.address(port.hostIp), protocol, hostPort]), data });
    }
    const name = `${port.containerIp} ${port.protocol} ${port.containerPort}`;
    if (opened.has(name)) continue;
    opened.add(name);
    const key = Buffer.concat([container, protocol, nftField.port(port.containerPort)]);
    add(`${isDirect ? 'direct' : 'open'}${family}`, { key });
  }
  return sets;
}
