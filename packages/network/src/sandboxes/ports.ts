/** The published ports of a sandbox: booked when it has an endpoint that can carry them. */
import { BoxshipError } from '@boxship/base';
import type { Context } from '../context.ts';
import { optionKey } from '../drivers/bridge/options.ts';
import type { SandboxRecord } from '../model.ts';
import { gatewaysOf, hasGateway, targetsOf } from './gateway.ts';

/**
 * The record with its ports, booked and held. Without an endpoint that could carry them (internal, none, host) they are not
 * published, as with Docker; a network joined later makes up for it.
 * @throws unknown with Docker's text when a port is taken
 */
export async function holdPorts(context: Context, record: SandboxRecord): Promise<SandboxRecord> {
  const requests = record.spec.ports ?? [];
  const { ipv4, ipv6 } = gatewaysOf(record);
  const gateway = ipv4 ?? ipv6;
  if (requests.length === 0 || record.ports.length > 0 || gateway === undefined) return record;
  const network = context.state.networks.get(gateway.networkId)?.network;
  const hostIp = network?.spec.options[optionKey.hostBinding] ?? '0.0.0.0';
  try {
    return { ...record, ports: await context.ports.allocate(record.spec.id, requests, hostIp) };
  } catch (error) {
    context.ports.release(record.spec.id);
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
