/** The side of an interface that is inside of a sandbox: the same for every driver that makes one. */
import { BoxshipError } from '@boxship/base';
import { changeLink, findLink, newAddress } from '@boxship/linux';
import type { AddressPool, Network } from '../controller.ts';
import { broadcastOf, parsePrefix } from '../ipam/prefix.ts';
import type { EndpointRecord } from '../model.ts';
import { writeSysctl } from '../sysctl.ts';
import type { SandboxAccess } from './driver.ts';

/** Address and link state of the sandbox side, in one request. Routes by gateway are the sandbox's affair. */
export function configureInside(sandbox: SandboxAccess, network: Network, endpoint: EndpointRecord['endpoint']): void {
  const link = findLink(sandbox.route, endpoint.interfaceName);
  if (link === undefined)
    throw new BoxshipError('aborted', `interface ${endpoint.interfaceName} vanished from its sandbox`);
  if (endpoint.ipv6Address !== '')
    sandbox.inside(() => {
      writeSysctl('net/ipv6/conf/lo/disable_ipv6', '0');
      writeSysctl(`net/ipv6/conf/${link.name}/disable_ipv6`, '0');
    });
  const requests = [changeLink(link.index, { isUp: true })];
  if (endpoint.ipv4Address !== '') {
    const pool = network.spec.pools.find((candidate: AddressPool) => candidate.subnet?.includes('.') === true);
    const broadcast = pool?.subnet === undefined ? undefined : broadcastOf(parsePrefix(pool.subnet));
    requests.push(
      newAddress({
        linkIndex: link.index,
        address: endpoint.ipv4Address,
        prefixLength: endpoint.ipv4PrefixLength,
        ...(broadcast === undefined ? {} : { broadcast }),
      }),
    );
  }
  if (endpoint.ipv6Address !== '')
    requests.push(
      newAddress({ linkIndex: link.index, address: endpoint.ipv6Address, prefixLength: endpoint.ipv6PrefixLength }),
    );
  sandbox.route.execute(...requests);
}
