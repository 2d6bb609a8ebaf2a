/** Puts an endpoint into its sandbox: the driver's interface, and what the user set on it. */
import { BoxshipError } from '@boxship/base';
import type { Context } from '../context.ts';
import type { Network } from '../controller.ts';
import type { SandboxAccess } from '../drivers/driver.ts';
import { driverNamed } from '../drivers/lookup.ts';
import type { EndpointRecord } from '../model.ts';
import { writeSysctl } from '../sysctl.ts';
import { interfaceSysctls } from './endpoint-options.ts';

/** @throws what the driver throws; invalidArgument for a kernel parameter that there is not */
export function joinNetwork(context: Context, network: Network, record: EndpointRecord, sandbox: SandboxAccess): void {
  driverNamed(context, network.spec.driver).join(network, record, sandbox);
  const sysctls = interfaceSysctls(record.endpoint.spec, record.endpoint.interfaceName);
  if (sysctls.length === 0) return;
  sandbox.inside(() => {
    for (const { path, value } of sysctls) setParameter(path, value);
  });
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
