/** Plans an endpoint: addresses, MAC, names. Touches nothing; the caller records the plan before the kernel sees it. */
import { randomId, shortId } from '@boxship/base';
import { bytesToMac, macToBytes } from '@boxship/linux';
import type { Context } from '../context.ts';
import type { AddressPool, Endpoint, EndpointSpec, Network, SandboxSpec } from '../controller.ts';
import { driverNamed } from '../drivers/lookup.ts';
import type { GivenAddresses } from '../ipam/addresses.ts';
import { gatewayKey } from '../ipam/addresses.ts';
import { parsePrefix } from '../ipam/prefix.ts';
import type { EndpointRecord } from '../model.ts';
import { wantedInterfaceName } from './endpoint-options.ts';
import { macOf } from './mac.ts';

/** Whether a name in the host is one that {@link planEndpoint} gives. */
export const isInterfaceName = (name: string): boolean => /^bx[0-9a-f]{12}$/.test(name);

/** @throws resourceExhausted, invalidArgument, permissionDenied with Docker's texts */
export function planEndpoint(
  context: Context,
  sandbox: SandboxSpec,
  network: Network,
  spec: EndpointSpec,
  interfaceNumber: number,
  given: GivenAddresses = {},
): EndpointRecord {
  const id = randomId();
  const driver = driverNamed(context, network.spec.driver);
  const dnsNames = dnsNamesOf(sandbox, spec);
  if (!driver.hasInterfaces)
    return { hostInterface: '', endpoint: { ...emptyEndpoint, id, ...named(network), dnsNames, spec } };
  const ipv4 = assign(context, network, 4, given.ipv4Address ?? spec.ipv4Address);
  const ipv6 = assign(context, network, 6, given.ipv6Address ?? spec.ipv6Address);
  return {
    hostInterface: driver.hasHostEnds ? `bx${id.slice(0, 12)}` : '',
    endpoint: {
      id,
      ...named(network),
      interfaceName: wantedInterfaceName(spec) ?? `${driver.interfacePrefix(network)}${interfaceNumber}`,
      macAddress:
        spec.macAddress === undefined || spec.macAddress === ''
          ? macOf(ipv4.address, id)
          : bytesToMac(macToBytes(spec.macAddress)),
      ipv4Address: ipv4.address,
      ipv4PrefixLength: ipv4.prefixLength,
      ipv4Gateway: network.spec.isInternal ? '' : ipv4.gateway,
      ipv6Address: ipv6.address,
      ipv6PrefixLength: ipv6.prefixLength,
      ipv6Gateway: network.spec.isInternal ? '' : ipv6.gateway,
      dnsNames,
      spec,
    },
  };
}

/** By what names other members find an endpoint; its main name first. */
export const dnsNamesOf = (sandbox: SandboxSpec, spec: EndpointSpec): string[] =>
  [...new Set([sandbox.containerName, ...(spec.aliases ?? []), shortId(sandbox.id), sandbox.hostname])].filter(
    (name) => name !== '',
  );

const emptyEndpoint = {
  interfaceName: '',
  macAddress: '',
  ipv4Address: '',
  ipv4PrefixLength: 0,
  ipv4Gateway: '',
  ipv6Address: '',
  ipv6PrefixLength: 0,
  ipv6Gateway: '',
} as const satisfies Partial<Endpoint>;

const named = (network: Network) => ({ networkId: network.id, networkName: network.spec.name });

function assign(context: Context, network: Network, family: 4 | 6, wanted: string | undefined) {
  const pool = poolFor(network, family, wanted);
  if (pool === undefined) return { address: '', prefixLength: 0, gateway: '' };
  const used = context.state.usedAddresses(network.id);
  return {
    address: wanted
      ? context.addresses.claim(pool, wanted, used)
      : context.addresses.choose({ id: network.id, name: network.spec.name }, pool, used),
    prefixLength: parsePrefix(pool.subnet).length,
    gateway: pool.auxAddresses?.[gatewayKey[family]] ?? pool.gateway ?? '',
  };
}

type SubnetPool = AddressPool & { subnet: string };

/** The pool of a network that a wanted address is in; without one its first of the family. undefined: it has none. */
export function poolFor(network: Network, family: 4 | 6, wanted: string | undefined): SubnetPool | undefined {
  const pools = network.spec.pools.filter(
    (pool): pool is SubnetPool => pool.subnet !== undefined && parsePrefix(pool.subnet).family === family,
  );
  const around = wanted ? pools.find((pool) => isWithin(pool, wanted)) : undefined;
  return around ?? pools[0];
}

function isWithin(pool: SubnetPool, address: string): boolean {
  const { family, length } = parsePrefix(pool.subnet);
  if (address.includes(':') !== (family === 6)) return false;
  const { address: base } = parsePrefix(`${address}/${length}`);
  return base === parsePrefix(pool.subnet).address;
}
