/** A socket in the namespace of a sandbox that may be gone already. */
import { isNamespaceFile, NetlinkSocket, netlinkProtocol, runInNetworkNamespace } from '@boxship/linux';

/** undefined: there is no such namespace any more. */
export function openRoute(namespacePath: string): NetlinkSocket | undefined {
  if (!isNamespaceFile(namespacePath)) return undefined;
  return runInNetworkNamespace(namespacePath, () => NetlinkSocket.open(netlinkProtocol.route));
}
