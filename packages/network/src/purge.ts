/** The end of an engine: nothing of it stays in the kernel or in the records of this boot. */
import type { Context } from './context.ts';
import { driverNamed } from './drivers/lookup.ts';
import { takeBack } from './networks/remove.ts';
import { takeBackSandbox } from './sandboxes/remove.ts';

export async function purge(context: Context): Promise<void> {
  for (const { spec } of [...context.state.sandboxes.values()]) {
    await context.mutex.run(`sandbox:${spec.id}`, async () => {
      const record = context.state.sandboxes.get(spec.id);
      if (record === undefined) return;
      await takeBackSandbox(context, record);
      // now, not in the background: whoever purges may end before
      for (const member of record.endpoints) {
        const network = context.state.networks.get(member.endpoint.networkId)?.network;
        if (network !== undefined && member.hostInterface !== '')
          await driverNamed(context, network.spec.driver).leave(network, member, record);
      }
    });
  }
  // networks of a cluster stay those of its other engines: this one alone leaves
  await context.cluster?.[Symbol.asyncDispose]();
  await context.mutex.run('networks', async () => {
    for (const { network } of [...context.state.networks.values()])
      await takeBack(context, { state: 'deleting', network });
    await context.firewall.remove();
  });
}
