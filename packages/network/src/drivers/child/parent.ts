/**
 * The interface of the host that the interfaces of containers stand on: one of the host's own, a VLAN on top of one
 * (`parent=eth0.10`, made when it is not there), or, for networks that lead nowhere, a link of our own.
 */
import { BoxshipError, shortId } from '@boxship/base';
import {
  changeLink,
  findLink,
  isErrno,
  type Link,
  type NetlinkSocket,
  newChild,
  newVeth,
  randomLinkIndex,
} from '@boxship/linux';
import type { Ownership } from '../bridge/ownership.ts';
import { deleteLinkNamed } from '../delete-link.ts';

const maxVlan = 4094;

export interface ParentOf {
  readonly networkId: string;
  /** As in {@link ChildOptions}. */
  readonly parent: string | undefined;
}

/** Docker's name for the parent of a network without one. */
export const parentName = ({ networkId, parent }: ParentOf): string => parent ?? `dm-${shortId(networkId)}`;

/** Finds or makes the parent, up. @throws invalidArgument when the host has no such interface, unimplemented without VLANs */
export function ensureParent(route: NetlinkSocket, ownership: Ownership, of: ParentOf): Link {
  const name = parentName(of);
  const alias = ownership.aliasOf('network', of.networkId);
  const link = findLink(route, name) ?? make(route, alias, name, of.parent === undefined);
  if (!link.isUp && link.alias === alias) route.execute(changeLink(link.index, { isUp: true }));
  return link;
}

function make(route: NetlinkSocket, alias: string, name: string, isOwn: boolean): Link {
  const index = randomLinkIndex();
  if (isOwn) {
    // a pair, not a dummy link: every kernel has it, and it has a carrier
    const peer = `${name.slice(0, 14)}p`;
    route.execute(newVeth({ name, index, peer: { name: peer } }), changeLink(index, { alias }));
    route.execute(changeLink(peer, { isUp: true, alias }));
  } else {
    const [, base = '', id = ''] = /^(.+)\.(\d+)$/.exec(name) ?? [];
    const under = base === '' ? undefined : findLink(route, base);
    if (under === undefined || Number(id) < 1 || Number(id) > maxVlan)
      throw new BoxshipError('invalidArgument', `the interface ${name} was not found on the host`);
    try {
      const type = { kind: 'vlan', id: Number(id) } as const;
      route.execute(
        newChild({ name, index, parentIndex: under.index, type }),
        changeLink(index, { alias, isUp: true }),
      );
    } catch (error) {
      if (isErrno(error, 'EOPNOTSUPP'))
        throw new BoxshipError(
          'unimplemented',
          `failed to create ${name}: this kernel has no 802.1q VLANs (module 8021q)`,
          {
            cause: error,
          },
        );
      throw error;
    }
  }
  const link = findLink(route, name);
  if (link === undefined) throw new BoxshipError('aborted', `link ${name} was removed while it was made`);
  return link;
}

/** Removes the parent if we have made it. */
export async function removeParent(route: NetlinkSocket, ownership: Ownership, of: ParentOf): Promise<void> {
  const name = parentName(of);
  if (findLink(route, name)?.alias === ownership.aliasOf('network', of.networkId)) await deleteLinkNamed(name);
}
