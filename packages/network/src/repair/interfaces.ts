/** Interfaces of running containers that were deleted by another program are made again, with address, route and MAC. */
import { findLink, listLinks } from '@boxship/linux';
import type { Context } from '../context.ts';
import type { Endpoint } from '../controller.ts';
import type { EndpointRecord, SandboxRecord } from '../model.ts';
import { setDefaultRoutes } from '../sandboxes/default-routes.ts';
import { gatewaysOf } from '../sandboxes/gateway.ts';
import { joinNetwork } from '../sandboxes/join.ts';
import { openNamespace } from '../sandboxes/namespace.ts';

export async function repairInterfaces(context: Context): Promise<void> {
  const present = new Set(listLinks(context.route).map(({ name }) => name));
  const isLost = ({ hostInterface }: EndpointRecord): boolean => hostInterface !== '' && !present.has(hostInterface);
  const suspects = [...context.state.sandboxes.values()].filter(
    (record) => record.state === 'ready' && record.endpoints.some(isLost),
  );
  for (const { spec } of suspects) await context.mutex.run(`sandbox:${spec.id}`, async () => repair(context, spec.id));
}

/** In the turn of the sandbox: what looked lost may have been an endpoint on its way in or out. */
function repair(context: Context, id: string): void {
  const record = context.state.sandboxes.get(id);
  if (record?.state !== 'ready') return;
  for (const member of record.endpoints) {
    if (member.hostInterface === '' || findLink(context.route, member.hostInterface) !== undefined) continue;
    const where = { sandbox: id, network: member.endpoint.networkName, interface: member.endpoint.interfaceName };
    try {
      makeAgain(context, record, member);
      context.log.warn('interface of a container was deleted by another program: made again', where);
    } catch (error) {
      context.log.error('interface of a container was deleted by another program and cannot be made again', {
        ...where,
        error,
      });
    }
  }
}

function makeAgain(context: Context, record: SandboxRecord, member: EndpointRecord): void {
  const network = context.state.networks.get(member.endpoint.networkId)?.network;
  if (network === undefined) return;
  using access = openNamespace(record.namespacePath);
  joinNetwork(context, network, member, access);
  const { ipv4, ipv6 } = gatewaysOf(record);
  const through = (gateway: Endpoint | undefined) => (gateway?.id === member.endpoint.id ? gateway : undefined);
  setDefaultRoutes(access, { ipv4: through(ipv4), ipv6: through(ipv6) });
}
