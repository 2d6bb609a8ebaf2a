/** Which namespaces a container gets of its own, joins, or shares with the host. */
import { BoxshipError } from '@boxship/base';
import type { HostConfig } from '@boxship/engine-api';
import type { RuntimeNamespace } from '@boxship/oci';

export interface NamespaceContext {
  /** A path to join, a new empty one, or the host's. */
  readonly network: { readonly path: string } | 'new' | 'host';
  /** Init pid of a running container by id or name. @throws when it does not run */
  readonly pidOf: (container: string) => number;
}

/** The container behind `container:X`. */
export function containerOfMode(mode: string): string | undefined {
  return mode.startsWith('container:') ? mode.slice('container:'.length) : undefined;
}

export function planNamespaces(hostConfig: HostConfig, context: NamespaceContext): RuntimeNamespace[] {
  const namespaces: RuntimeNamespace[] = [{ type: 'mount' }];
  const joined = (kind: string, mode: string): string | undefined => {
    const container = containerOfMode(mode);
    return container === undefined ? undefined : `/proc/${context.pidOf(container)}/ns/${kind}`;
  };
  const networkJoin = joined('net', hostConfig.NetworkMode);
  if (networkJoin !== undefined) namespaces.push({ type: 'network', path: networkJoin });
  else if (context.network === 'new') namespaces.push({ type: 'network' });
  else if (context.network !== 'host') namespaces.push({ type: 'network', path: context.network.path });
  if (hostConfig.UTSMode !== 'host') namespaces.push({ type: 'uts' });
  add('pid', hostConfig.PidMode);
  add('ipc', hostConfig.IpcMode);
  if (hostConfig.CgroupnsMode === 'private') namespaces.push({ type: 'cgroup' });
  if (hostConfig.UsernsMode !== '' && hostConfig.UsernsMode !== 'host')
    throw new BoxshipError('invalidArgument', `invalid USER mode: ${hostConfig.UsernsMode}`);
  return namespaces;

  function add(type: 'pid' | 'ipc', mode: string): void {
    if (mode === 'host') return;
    const path = joined(type, mode);
    namespaces.push(path === undefined ? { type } : { type, path });
  }
}
