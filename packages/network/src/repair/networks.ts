/** Bridges that were deleted, taken down or emptied by another program are made whole again, with all their ports. */
import type { Context } from '../context.ts';
import { assertNetwork, reattach } from '../recovery.ts';

export async function repairNetworks(context: Context): Promise<void> {
  for (const { state, network } of context.state.networks.values()) {
    const driver = context.drivers.get(network.spec.driver);
    if (state !== 'ready' || network.spec.isConfigOnly || driver === undefined) continue;
    const isPresent = driver.isPresent(network);
    await assertNetwork(context, network.id);
    if (isPresent || !driver.isPresent(network)) continue;
    context.log.warn('network was deleted by another program: made again', { network: network.spec.name });
    for (const { sandbox } of context.state.membersOf(network.id)) reattach(context, sandbox);
  }
}
