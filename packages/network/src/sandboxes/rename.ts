/** `rename`: the sandbox of a container that is called otherwise now. Nothing in the kernel knows the name. */
import type { Context } from '../context.ts';
import type { SandboxRecord } from '../model.ts';
import { dnsNamesOf } from './endpoint.ts';

/** @throws notFound */
export async function renameSandbox(context: Context, id: string, containerName: string): Promise<void> {
  await context.mutex.run(`sandbox:${id}`, async () => {
    const before = context.state.sandbox(id);
    const spec = { ...before.spec, containerName };
    const after: SandboxRecord = {
      ...before,
      spec,
      endpoints: before.endpoints.map((member) => ({
        ...member,
        endpoint: { ...member.endpoint, dnsNames: dnsNamesOf(spec, member.endpoint.spec) },
      })),
    };
    context.store.saveSandbox(after);
    context.state.setSandbox(after);
    for (const { endpoint } of after.endpoints) {
      const driver = context.state.networks.get(endpoint.networkId)?.network.spec.driver ?? '';
      if (context.drivers.get(driver)?.isShared === true) await context.cluster?.announce(endpoint);
    }
  });
}
