/** The namespace of a sandbox: made once, found again by its name. */
import {
  changeLink,
  createNetworkNamespace,
  NetlinkSocket,
  nameOwnNetworkNamespace,
  netlinkProtocol,
  removeNetworkNamespace,
  runInNetworkNamespace,
} from '@boxship/linux';
import type { SandboxAccess } from '../drivers/driver.ts';
import type { SandboxRecord } from '../model.ts';
import { writeSysctl } from '../sysctl.ts';

const loopbackIndex = 1;

/** Makes the namespace, its loopback up, IPv6 off until an endpoint brings it. Remains of an earlier try are replaced. */
export function makeNamespace(path: string): void {
  removeNetworkNamespace(path);
  createNetworkNamespace(path, () => {
    writeSysctl('net/ipv6/conf/all/disable_ipv6', '1');
    using socket = NetlinkSocket.open(netlinkProtocol.route);
    socket.execute(changeLink(loopbackIndex, { isUp: true }));
  });
}

/** The namespace of the controller under a name of the sandbox's own. */
export function shareNamespace(path: string): void {
  removeNetworkNamespace(path);
  nameOwnNetworkNamespace(path);
}

export function accessTo(record: Pick<SandboxRecord, 'namespacePath' | 'spec'>): SandboxAccess {
  return {
    id: record.spec.id,
    namespacePath: record.namespacePath,
    inside: (work) => runInNetworkNamespace(record.namespacePath, work),
  };
}
