/** Deleting a link. The kernel waits about 20 ms for its last user: on a pool thread. */
import { deleteLink, isErrno, NetlinkSocket, netlinkProtocol } from '@boxship/linux';

/** Of the namespace of `socket`; absent: of this thread's. One that is not there is deleted. */
export async function deleteLinkNamed(name: string, socket?: NetlinkSocket): Promise<void> {
  using own = socket === undefined ? NetlinkSocket.open(netlinkProtocol.route) : undefined;
  try {
    await (socket ?? own)?.executeAsync(deleteLink(name));
  } catch (error) {
    if (!isErrno(error, 'ENODEV')) throw error;
  }
}
