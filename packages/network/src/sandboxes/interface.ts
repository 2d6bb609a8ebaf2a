/** Whether the interface of an endpoint still stands in the kernel. */
import { findLink, isNamespaceFile } from '@boxship/linux';
import type { Context } from '../context.ts';
import type { EndpointRecord, SandboxRecord } from '../model.ts';
import { openNamespace } from './namespace.ts';

/** By its end in the host, else by a look inside. Endpoints without an interface have nothing to lose. */
export function hasInterface(
  context: Context,
  { namespacePath }: Pick<SandboxRecord, 'namespacePath'>,
  { endpoint, hostInterface }: EndpointRecord,
): boolean {
  if (hostInterface !== '') return findLink(context.route, hostInterface) !== undefined;
  if (endpoint.interfaceName === '' || !isNamespaceFile(namespacePath)) return true;
  using access = openNamespace(namespacePath);
  return findLink(access.route, endpoint.interfaceName) !== undefined;
}
