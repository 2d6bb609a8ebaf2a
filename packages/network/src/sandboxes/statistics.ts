/** Counters of the interfaces of a sandbox, read inside of its namespace. */
import { listLinks } from '@boxship/linux';
import type { Context } from '../context.ts';
import type { InterfaceStatistics } from '../controller.ts';
import { openNamespace } from './namespace.ts';

/** @throws notFound */
export function statistics(context: Context, sandboxId: string): InterfaceStatistics[] {
  const record = context.state.sandbox(sandboxId);
  const names = new Set(record.endpoints.map(({ endpoint }) => endpoint.interfaceName));
  using access = openNamespace(record.namespacePath);
  const links = listLinks(access.route);
  return links.flatMap((link) =>
    names.has(link.name) && link.statistics !== undefined ? [{ interfaceName: link.name, ...link.statistics }] : [],
  );
}
