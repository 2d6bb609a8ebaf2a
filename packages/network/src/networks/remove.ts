/** `removeNetwork`: refused for predefined networks and while endpoints are there. */
import { BoxshipError, failPoint } from '@boxship/base';
import { clusterOf } from '../cluster/lookup.ts';
import type { Context } from '../context.ts';
import { driverNamed } from '../drivers/lookup.ts';
import { releasePools } from '../ipam/remote.ts';
import type { NetworkRecord } from '../model.ts';

export const predefinedNames: ReadonlySet<string> = new Set(['bridge', 'host', 'none']);

export async function removeNetwork(context: Context, idOrName: string): Promise<void> {
  await context.mutex.run('networks', async () => {
    const network = context.state.network(idOrName);
    const { name } = network.spec;
    if (predefinedNames.has(name))
      throw new BoxshipError('permissionDenied', `${name} is a pre-defined network and cannot be removed`);
    if (context.state.membersOf(network.id).length > 0)
      throw new BoxshipError(
        'permissionDenied',
        `error while removing network: network ${name} id ${network.id} has active endpoints`,
      );
    const isUsed = [...context.state.networks.values()].some((other) => other.network.spec.configFrom === name);
    if (network.spec.isConfigOnly && isUsed)
      throw new BoxshipError(
        'permissionDenied',
        `error while removing network: configuration network ${JSON.stringify(name)} is in use`,
      );
    if (driverNamed(context, network.spec.driver).isShared === true) await clusterOf(context).forget(network);
    await takeBack(context, { state: 'deleting', network });
  });
}

/** Removes a network from kernel and store, whatever of it exists. */
export async function takeBack(context: Context, record: NetworkRecord): Promise<void> {
  const { network } = record;
  const driver = driverNamed(context, network.spec.driver);
  context.store.saveNetwork(record);
  context.state.networks.delete(network.id);
  await failPoint('net.leaving');
  if (driver.hasInterfaces) {
    await driver.remove(network);
    await failPoint('net.bridge-removed');
    await releasePools(context, network);
    await context.firewall.rebuild();
  }
  await failPoint('net.gone');
  context.store.deleteNetwork(network.id);
}
