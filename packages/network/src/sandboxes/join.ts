/** Puts an endpoint into its sandbox: the driver's interface, and what the user set on it. */
import { BoxshipError } from '@boxship/base';
import { findLink, newAddress } from '@boxship/linux';
import type { Context } from '../context.ts';
import type { Network } from '../controller.ts';
import type { SandboxAccess } from '../drivers/driver.ts';
import { driverNamed } from '../drivers/lookup.ts';
import type { EndpointRecord, SandboxRecord } from '../model.ts';
import { writeSysctl } from '../sysctl.ts';
import { interfaceSysctls } from './endpoint-options.ts';

/** Gives the endpoint as it has become. @throws what the driver throws; invalidArgument for a kernel parameter that there is not */
export async function joinNetwork(
  context: Context,
  network: Network,
  record: EndpointRecord,
  sandbox: SandboxAccess,
): Promise<EndpointRecord> {
  const joined = await driverNamed(context, network.spec.driver).join(network, record, sandbox);
  addLinkLocal(sandbox, joined);
  const sysctls = interfaceSysctls(record.endpoint.spec, record.endpoint.interfaceName);
  if (sysctls.length === 0) return joined;
  sandbox.inside(() => {
    for (const { path, value } of sysctls) setParameter(path, value);
  });
  return joined;
}

/** With the prefix lengths of RFC 3927 and RFC 4291. */
function addLinkLocal(sandbox: SandboxAccess, { endpoint }: EndpointRecord): void {
  const addresses = endpoint.spec.linkLocalAddresses ?? [];
  const link = addresses.length === 0 ? undefined : findLink(sandbox.route, endpoint.interfaceName);
  if (link === undefined) return;
  const requests = addresses.map((address) =>
    newAddress({ linkIndex: link.index, address, prefixLength: address.includes(':') ? 64 : 16 }),
  );
  sandbox.route.execute(...requests);
}

function setParameter(path: string, value: string): void {
  const name = path.replaceAll('/', '.');
  let isKnown: boolean;
  try {
    isKnown = writeSysctl(path, value);
  } catch (error) {
    throw new BoxshipError('invalidArgument', `sysctl ${name} cannot be set to "${value}"`, { cause: error });
  }
  if (!isKnown) throw new BoxshipError('invalidArgument', `sysctl ${name} does not exist on this host`);
}

/** The record with its endpoints as their drivers left them, written down if one has changed. */
export function keepJoined(
  context: Context,
  record: SandboxRecord,
  endpoints: readonly EndpointRecord[],
): SandboxRecord {
  if (endpoints.every((endpoint, index) => endpoint === record.endpoints[index])) return record;
  const changed = { ...record, endpoints };
  context.store.saveSandbox(changed);
  context.state.setSandbox(changed);
  return changed;
}
