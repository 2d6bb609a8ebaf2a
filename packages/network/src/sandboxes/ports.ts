/** The published ports of a sandbox: booked when it has an endpoint that can carry them. */
import { BoxshipError } from '@boxship/base';
import type { Context } from '../context.ts';
import type { Endpoint, Network, PortRequest, PublishedPort } from '../controller.ts';
import { optionKey } from '../drivers/bridge/options.ts';
import { driverNamed } from '../drivers/lookup.ts';
import { type FirewallPort, familyOf, type GatewayMode } from '../firewall/firewall.ts';
import type { SandboxRecord } from '../model.ts';
import type { PortWay } from '../ports/publisher.ts';
import { gatewaysOf, hasGateway, targetsOf } from './gateway.ts';

/**
 * The record with its ports, booked and held. Without an endpoint that could carry them (internal, none, host) they are not
 * published, as with Docker; a network joined later makes up for it.
 * @throws unknown with Docker's text when a port is taken
 */
export async function holdPorts(context: Context, record: SandboxRecord): Promise<SandboxRecord> {
  const requests = record.spec.ports ?? [];
  if (requests.length === 0 || record.ports.length > 0) return record;
  const ports = await bookPorts(context, record, requests);
  return ports === undefined ? record : { ...record, ports };
}

/** As {@link holdPorts}, once the interfaces are there: plugins of others tell addresses only then. Written down if it changes. */
export async function holdLate(context: Context, record: SandboxRecord): Promise<SandboxRecord> {
  const held = await holdPorts(context, record);
  if (held === record) return record;
  context.store.saveSandbox(held);
  context.state.setSandbox(held);
  return held;
}

/** undefined: no endpoint of the sandbox can carry ports. @throws unknown with Docker's text when one is taken: then none is held */
export async function bookPorts(
  context: Context,
  record: SandboxRecord,
  requests: readonly PortRequest[],
): Promise<PublishedPort[] | undefined> {
  const { ipv4, ipv6 } = gatewaysOf(record);
  const gateway = ipv4 ?? ipv6;
  if (gateway === undefined) return undefined;
  const wayOf = waysOf(context, record);
  if (wayOf(4) === 'none' && wayOf(6) === 'none') return undefined;
  const network = context.state.networks.get(gateway.networkId)?.network;
  const hostIp = network?.spec.options[optionKey.hostBinding] ?? '0.0.0.0';
  try {
    return await context.ports.allocate(record.spec.id, requests, hostIp, wayOf, record.spec.arePortsHeld);
  } catch (error) {
    const cause = BoxshipError.from(error);
    throw new BoxshipError(
      'unknown',
      `driver failed programming external connectivity on endpoint ${record.spec.containerName} (${gateway.id}): ${cause.message}`,
      { cause, details: cause.details },
    );
  }
}

/** Sends what reaches the listeners of a sandbox to its gateway endpoint. */
export function directListeners(context: Context, record: SandboxRecord): void {
  const gateways = gatewaysOf(record);
  context.ports.direct(record.spec.id, hasGateway(gateways) ? targetsOf(gateways) : undefined);
}

/** How published ports of each family are reached: see {@link PortPublisher.allocate}. */
function waysOf(context: Context, record: Pick<SandboxRecord, 'endpoints'>): (family: 4 | 6) => PortWay {
  const { ipv4, ipv6 } = gatewaysOf(record);
  const modes = {
    4: ipv4 === undefined ? undefined : gatewayMode(context, ipv4.networkId, 4),
    6: ipv6 === undefined ? undefined : gatewayMode(context, ipv6.networkId, 6),
  };
  const isNat = modes[4]?.startsWith('nat') === true || modes[6]?.startsWith('nat') === true;
  const isHeld = isNat || isCarried(context, ipv4) || isCarried(context, ipv6);
  return (family) => {
    if (modes[family] === 'routed') return 'own';
    // connections of a family that the sandbox has not are carried to the other by the listener
    return isHeld ? 'host' : 'none';
  };
}

/** By a listener alone: the host reaches the endpoint, but by links that others made and guard. */
function isCarried(context: Context, gateway: Endpoint | undefined): boolean {
  const network = gateway === undefined ? undefined : context.state.networks.get(gateway.networkId)?.network;
  return network !== undefined && driverNamed(context, network.spec.driver).isForeign === true;
}

/** undefined where the driver of the network publishes no ports. */
function gatewayMode(context: Context, networkId: string, family: 4 | 6): GatewayMode | undefined {
  const network = context.state.networks.get(networkId)?.network;
  if (network === undefined) return undefined;
  let modes = modesOf.get(network);
  if (modes === undefined) {
    const subnets = driverNamed(context, network.spec.driver).firewall(network)?.subnets ?? [];
    const modeOf = (family: 4 | 6) => subnets.find(({ subnet }) => familyOf(subnet) === family)?.mode;
    modes = { 4: modeOf(4), 6: modeOf(6) };
    modesOf.set(network, modes);
  }
  return modes[family];
}

/** A network is never changed: what its options say is found out once. */
const modesOf = new WeakMap<Network, Readonly<Record<4 | 6, GatewayMode | undefined>>>();

/** The ports of a sandbox as the firewall takes them: none while no endpoint can carry them. */
export function firewallPorts(context: Context, record: Pick<SandboxRecord, 'ports' | 'endpoints'>): FirewallPort[] {
  if (record.ports.length === 0) return [];
  const gateways = gatewaysOf(record);
  const { ipv4, ipv6 } = targetsOf(gateways);
  const isTranslated = { 4: !isCarried(context, gateways.ipv4), 6: !isCarried(context, gateways.ipv6) };
  const wayOf = waysOf(context, record);
  return record.ports.flatMap((port) => {
    const family = familyOf(port.hostIp);
    const containerIp = !isTranslated[family] ? '' : family === 6 ? ipv6 : ipv4;
    const way = wayOf(family);
    if (containerIp === '' || way === 'none') return [];
    return [{ ...port, hostPort: way === 'own' ? 0 : port.hostPort, containerIp }];
  });
}
