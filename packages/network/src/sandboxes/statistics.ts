/** Counters of the interfaces of a sandbox, read inside of its namespace. */
import { listLinks, NetlinkSocket, netlinkProtocol } from '@boxship/linux';
import type { Context } from '../context.ts';
import type { InterfaceStatistics } from '../controller.ts';
import { accessTo } from './namespace.ts';

/** @throws notFound */
export function statistics(context: Context, sandboxId: string): InterfaceStatistics[] {
  const record = context.state.sandbox(sandboxId);
  const names = new Set(record.endpoints.map(({ endpoint }) => endpoint.interfaceName));
  const links = accessTo(record).inside(() => {
    using socket = NetlinkSocket.open(netlinkProtocol.route);
    return listLinks(socket);
  });
  return links.flatMap((link) =>
    names.has(link.name) && link.statistics !== undefined ? [{ interfaceName: link.name, ...link.statistics }] : [],
  );
}
