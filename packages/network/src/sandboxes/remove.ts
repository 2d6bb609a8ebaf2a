/** `removeSandbox`: rules first, then ports, names, namespace. Idempotent: also takes back what a crash left half done. */
import { failPoint } from '@boxship/base';
import { removeNetworkNamespace } from '@boxship/linux';
import type { Context } from '../context.ts';
import { driverNamed } from '../drivers/lookup.ts';
import { releaseAddresses } from '../ipam/remote.ts';
import type { SandboxRecord } from '../model.ts';
import { tellLinked } from './files.ts';
import { firewallPorts } from './ports.ts';

/** How long the kernel gets to drop the links of a namespace nobody holds any more; it needs 20 to 65 ms. */
const lingerMs = 500;

export async function removeSandbox(context: Context, id: string): Promise<void> {
  await context.mutex.run(`sandbox:${id}`, async () => {
    const record = context.state.sandboxes.get(id);
    if (record !== undefined) await takeBackSandbox(context, record);
  });
}

export async function takeBackSandbox(context: Context, record: SandboxRecord): Promise<void> {
  const { id } = record.spec;
  const isPublished = context.state.sandboxes.get(id)?.state === 'ready';
  context.store.setSandboxDeleting(id);
  // in memory too, at once: a rebuild of the rules from now on leaves its ports out
  context.state.setSandbox({ ...record, state: 'deleting' });
  await failPoint('stop.op-row');
  if (isPublished) await context.firewall.move(firewallPorts(context, record), []);
  context.ports.release(id);
  await failPoint('stop.ports-released');
  context.dns.stop(id);
  await leaveBeforehand(context, record);
  removeNetworkNamespace(record.namespacePath);
  await failPoint('stop.net-released');
  context.state.deleteSandbox(id);
  for (const { endpoint } of record.endpoints) {
    tellLinked(context, record, endpoint, 'gone');
    await releaseAddresses(context, endpoint);
  }
  context.store.deleteSandbox(id);
  await failPoint('stop.row-deleted');
  reapLinks(context, record);
}

/** Interfaces without an end in the host, and what foreign drivers hold for them, are given back while the namespace is there. */
async function leaveBeforehand(context: Context, record: SandboxRecord): Promise<void> {
  for (const member of record.endpoints) {
    const network = context.state.networks.get(member.endpoint.networkId)?.network;
    if (network === undefined) continue;
    const driver = driverNamed(context, network.spec.driver);
    // a namespace of another program does not end with the sandbox
    if (!driver.hasInterfaces || (driver.hasHostEnds && record.spec.joinNamespace === undefined)) continue;
    try {
      await driver.leave(network, member, record);
    } catch (error) {
      // a removal is not held up: the interface ends with the namespace
      context.log.warn('interface could not be given back', { sandbox: record.spec.id, network: network.id, error });
    }
  }
}

/**
 * The links vanish with the namespace. When a process still holds it (a container that shares it) they do not: then they are
 * deleted, because their addresses are free again.
 */
function reapLinks(context: Context, { endpoints, namespacePath }: SandboxRecord): void {
  // looked up now: the network may be removed before the time is over
  const joined = endpoints.flatMap((record) => {
    const network =
      record.hostInterface === '' ? undefined : context.state.networks.get(record.endpoint.networkId)?.network;
    return network === undefined ? [] : [{ network, record, driver: driverNamed(context, network.spec.driver) }];
  });
  if (joined.length === 0) return;
  setTimeout(async () => {
    for (const { network, record, driver } of joined) {
      try {
        await driver.leave(network, record, { namespacePath });
      } catch (error) {
        // the next start removes what is tagged ours and belongs to nobody
        context.log.warn('link of a removed sandbox could not be deleted', { link: record.hostInterface, error });
      }
    }
  }, lingerMs).unref();
}
