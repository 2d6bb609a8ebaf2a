/** `publish` and `unpublish`: ports of a sandbox that lives. Other ports and open connections of it notice nothing. */
import { failPoint } from '@boxship/base';
import type { Context } from '../context.ts';
import type { PortRequest, PublishedPort, SandboxSpec } from '../controller.ts';
import type { SandboxRecord } from '../model.ts';
import { bookPorts, directListeners, firewallPorts } from './ports.ts';
import { validatePorts } from './validate.ts';

/** @throws notFound, invalidArgument, unknown with Docker's text when a port is taken */
export async function publishPorts(
  context: Context,
  id: string,
  requests: readonly PortRequest[],
): Promise<readonly PublishedPort[]> {
  validatePorts(requests);
  return await context.mutex.run(`sandbox:${id}`, async () => {
    const before = context.state.sandbox(id);
    const added = await bookPorts(context, before, requests);
    if (added === undefined) {
      const ports = [...(before.spec.ports ?? []), ...requests];
      keep(context, { ...before, spec: { ...before.spec, ports } }, before);
      return [];
    }
    const after = withPorts(before, [...before.ports, ...added]);
    // written first: a successor makes the rules of what is on record
    keep(context, after, before);
    await failPoint('publish.row');
    directListeners(context, after);
    try {
      await context.firewall.move(firewallPorts(context, before), firewallPorts(context, after));
    } catch (error) {
      context.ports.release(id, added);
      keep(context, before, after);
      throw error;
    }
    return added;
  });
}

/** @throws notFound */
export async function unpublishPorts(context: Context, id: string, requests: readonly PortRequest[]): Promise<void> {
  await context.mutex.run(`sandbox:${id}`, async () => {
    const before = context.state.sandbox(id);
    const isMeant = (port: PortRequest | PublishedPort): boolean =>
      requests.some(
        ({ protocol, containerPort, hostIp, hostPort }) =>
          port.protocol === protocol &&
          port.containerPort === containerPort &&
          (hostIp === '' || port.hostIp === hostIp) &&
          (hostPort === 0 || port.hostPort === hostPort),
      );
    if (before.ports.length === 0) {
      const ports = (before.spec.ports ?? []).filter((request) => !isMeant(request));
      keep(context, { ...before, spec: { ...before.spec, ports } }, before);
      return;
    }
    const removed = before.ports.filter(isMeant);
    if (removed.length === 0) return;
    const kept = before.ports.filter((port) => !removed.includes(port));
    // told whole: a container port published twice stays open while one of the two is left
    await context.firewall.move(firewallPorts(context, before), firewallPorts(context, withPorts(before, kept)));
    await failPoint('unpublish.rules');
    context.ports.release(id, removed);
    keep(context, withPorts(before, kept), before);
  });
}

/** What is asked for is what is published: a gateway that moves, or a network joined later, brings back exactly this. */
function withPorts(record: SandboxRecord, ports: readonly PublishedPort[]): SandboxRecord {
  const spec: SandboxSpec = { ...record.spec, ports };
  return { ...record, spec, ports };
}

function keep(context: Context, record: SandboxRecord, before: SandboxRecord): void {
  context.store.saveSandbox(record, before);
  context.state.setSandbox(record);
}
