/** The side of an interface that is inside of a sandbox: the same for every driver that makes one. */
import { BoxshipError } from '@boxship/base';
import { changeLink, findLink, newAddress } from '@boxship/linux';
import type { AddressPool, Network } from '../controller.ts';
import { broadcastOf, parsePrefix } from '../ipam/prefix.ts';
import type { EndpointRecord } from '../model.ts';
import { writeSysctl } from '../sysctl.ts';
import type { SandboxAccess } from './driver.ts';

/** The index of an interface of the sandbox. @throws aborted when there is none */
export function linkIndexIn({ route, links }: SandboxAccess, name: string): number {
  const index = links.get(name) ?? findLink(route, name)?.index;
  if (index === undefined) throw new BoxshipError('aborted', `interface ${name} vanished from its sandbox`);
  links.set(name, index);
  return index;
}

/** Address and link state of the sandbox side, in one request. Routes by gateway are the sandbox's affair. */
export function configureInside(sandbox: SandboxAccess, network: Network, endpoint: EndpointRecord['endpoint']): void {
  const linkIndex = linkIndexIn(sandbox, endpoint.interfaceName);
  if (endpoint.ipv6Address !== '')
    sandbox.inside(() => {
      writeSysctl('net/ipv6/conf/lo/disable_ipv6', '0');
      writeSysctl(`net/ipv6/conf/${endpoint.interfaceName}/disable_ipv6`, '0');
    });
  const requests = [changeLink(linkIndex, { isUp: true })];
  if (endpoint.ipv4Address !== '') {
    const pool = network.spec.pools.find((candidate: AddressPool) => candidate.subnet?.includes('.') === true);
    const broadcast = pool?.subnet === undefined ? undefined : broadcastOf(parsePrefix(pool.subnet));
    requests.push(
      newAddress({
        linkIndex,
        address: endpoint.ipv4Address,
        prefixLength: endpoint.ipv4PrefixLength,
        ...(broadcast === undefined ? {} : { broadcast }),
      }),
    );
  }
  if (endpoint.ipv6Address !== '')
    requests.push(newAddress({ linkIndex, address: endpoint.ipv6Address, prefixLength: endpoint.ipv6PrefixLength }));
  sandbox.route.execute(...requests);
}
