/** The namespace of a sandbox: made once, found again by its name, worked in through one netlink socket that belongs to it. */
import { closeSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import {
  changeLink,
  isNamespaceFile,
  NetlinkSocket,
  nameNetworkNamespace,
  netlinkProtocol,
  removeNetworkNamespace,
  runInNetworkNamespace,
} from '@boxship/linux';
import type { SandboxAccess } from '../drivers/driver.ts';
import { loopbackIndex, type SpareNamespaces } from './spare-namespaces.ts';

export interface OpenSandbox extends SandboxAccess, Disposable {}

/** A namespace whose loopback is up and whose IPv6 is off until an endpoint brings it. Remains of an earlier try are replaced. */
export function makeNamespace(path: string, spares: SpareNamespaces): OpenSandbox {
  removeNetworkNamespace(path);
  const { fd, route } = spares.take();
  try {
    nameNetworkNamespace(path, `/proc/self/fd/${fd}`);
  } catch (error) {
    route[Symbol.dispose]();
    throw error;
  } finally {
    closeSync(fd);
  }
  let lastIndex = loopbackIndex;
  return { ...accessBy(path, route), nextIndex: () => ++lastIndex };
}

/** The namespace of the controller under a name of the sandbox's own. */
export function shareNamespace(path: string): OpenSandbox {
  removeNetworkNamespace(path);
  nameNetworkNamespace(path);
  return accessBy(path, NetlinkSocket.open(netlinkProtocol.route));
}

/** The namespace of another program under a name of the sandbox's own. @throws notFound when there is none at the path */
export function adoptNamespace(path: string, source: string): OpenSandbox {
  if (!isNamespaceFile(source)) throw new BoxshipError('notFound', `${source} is no network namespace`);
  removeNetworkNamespace(path);
  nameNetworkNamespace(path, source);
  const access = openNamespace(path);
  // names are served on it
  access.route.execute(changeLink(loopbackIndex, { isUp: true }));
  return access;
}

/** Opens the namespace of a sandbox that lives. */
export function openNamespace(path: string): OpenSandbox {
  return accessBy(
    path,
    runInNetworkNamespace(path, () => NetlinkSocket.open(netlinkProtocol.route)),
  );
}

function accessBy(path: string, route: NetlinkSocket): OpenSandbox {
  return {
    namespacePath: path,
    route,
    links: new Map(),
    inside: (work) => runInNetworkNamespace(path, work),
    // an open socket would keep the namespace alive after its removal
    [Symbol.dispose]: () => route[Symbol.dispose](),
  };
}
