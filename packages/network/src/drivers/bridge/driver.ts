/** The bridge driver: one Linux bridge per network, one veth pair per endpoint. */

import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import {
  changeLink,
  findLink,
  isErrno,
  type Link,
  listAddresses,
  type NetlinkMessage,
  type NetlinkSocket,
  newAddress,
  newBridge,
  newVeth,
  randomLinkIndex,
  type VethOptions,
} from '@boxship/linux';
import type { Network, NetworkSpec } from '../../controller.ts';
import type { FirewallNetwork } from '../../firewall/firewall.ts';
import { broadcastOf, parsePrefix } from '../../ipam/prefix.ts';
import type { EndpointRecord } from '../../model.ts';
import { writeSysctl } from '../../sysctl.ts';
import { deleteLinkNamed } from '../delete-link.ts';
import type { Driver, SandboxAccess } from '../driver.ts';
import { configureInside } from '../inside.ts';
import { type BridgeOptions, parseBridgeOptions } from './options.ts';
import type { Ownership } from './ownership.ts';

export interface BridgeDriverOptions {
  readonly route: NetlinkSocket;
  readonly ownership: Ownership;
  /** MTU of networks that name none. */
  readonly mtu: number;
  /** There are rules that keep outsiders from what is published on loopback. */
  readonly hasFirewall: boolean;
}

export class BridgeDriver implements Driver {
  readonly name = 'bridge';
  readonly hasInterfaces = true;
  readonly hasHostEnds = true;
  readonly assignsAddresses = false;
  readonly #route: NetlinkSocket;
  readonly #ownership: Ownership;
  readonly #mtu: number;
  readonly #hasFirewall: boolean;
  /** Of bridges that have been used, by name. One made anew by others has another index: the kernel refuses the old one. */
  readonly #indexes = new Map<string, number>();

  constructor(options: BridgeDriverOptions) {
    this.#route = options.route;
    this.#ownership = options.ownership;
    this.#mtu = options.mtu;
    this.#hasFirewall = options.hasFirewall;
  }

  validate(spec: NetworkSpec): void {
    const { gatewayMode } = parseBridgeOptions('0'.repeat(64), spec.options ?? {});
    const families = (spec.pools ?? []).flatMap(({ subnet }) => (subnet === undefined ? [] : [subnet.includes(':')]));
    if (new Set(families).size < families.length)
      throw new BoxshipError('permissionDenied', `bridge driver doesn't support multiple subnets`);
    for (const family of [4, 6] as const)
      if (gatewayMode[family] === 'isolated' && spec.isInternal !== true)
        throw new BoxshipError('invalidArgument', `gateway mode 'isolated' can only be used for an internal network`);
  }

  fillOptions(_id: string, options: Readonly<Record<string, string>>): Record<string, string> {
    return { ...options };
  }

  firewall(network: Network): FirewallNetwork {
    const options = parseBridgeOptions(network.id, network.spec.options);
    return {
      bridge: options.bridge,
      subnets: network.spec.pools.flatMap(({ subnet }) => {
        if (subnet === undefined) return [];
        const { family } = parsePrefix(subnet);
        const mode = options.gatewayMode[family];
        const address = options.sourceAddress[family];
        const isTranslated = options.isMasqueraded && !network.spec.isInternal && mode.startsWith('nat');
        return [{ subnet, mode, source: !isTranslated ? 'keep' : address === undefined ? 'masquerade' : { address } }];
      }),
      isInternal: network.spec.isInternal,
      isIccEnabled: options.isIccEnabled,
      trustedInterfaces: options.trustedInterfaces,
    };
  }

  interfacePrefix(network: Network): string {
    return parseBridgeOptions(network.id, network.spec.options).interfacePrefix;
  }

  assert(network: Network): void {
    const options = parseBridgeOptions(network.id, network.spec.options);
    const alias = this.#ownership.aliasOf('network', network.id);
    let link = findLink(this.#route, options.bridge);
    if (link === undefined) {
      const mtu = options.mtu ?? (this.#mtu === 1500 ? undefined : this.#mtu);
      const index = randomLinkIndex();
      this.#route.execute(
        newBridge({ name: options.bridge, index, macAddress: randomMac(), ...(mtu === undefined ? {} : { mtu }) }),
        changeLink(index, { alias }),
      );
      link = findLink(this.#route, options.bridge);
      if (link === undefined)
        throw new BoxshipError('aborted', `bridge ${options.bridge} was removed while it was made`);
    } else if (link.alias !== alias) this.#adopt(link, options.isNamed);
    this.#configure(network, link, options);
  }

  /** A bridge that the user made beforehand and named is used; anything else under the name is refused. */
  #adopt(link: Link, isNamed: boolean): void {
    if (this.#ownership.isForeignEngine(link.alias) || this.#ownership.parse(link.alias) !== undefined)
      throw new BoxshipError('conflict', `bridge ${link.name} belongs to another network (${link.alias})`);
    if (!isNamed)
      throw new BoxshipError('conflict', `interface ${link.name} exists and is not ours: name another bridge`);
    if (link.kind !== 'bridge')
      throw new BoxshipError('invalidArgument', `interface ${link.name} exists and is not a bridge`);
  }

  #configure(network: Network, link: Link, options: BridgeOptions): void {
    // before the address: an address of IPv6 on a link without it is refused
    const hasIPv6 = network.spec.enableIPv6;
    writeSysctl(`net/ipv6/conf/${link.name}/accept_ra`, '0');
    writeSysctl(`net/ipv6/conf/${link.name}/disable_ipv6`, hasIPv6 ? '0' : '1');
    // lets connections to 127.0.0.1 be translated to containers; the firewall's guard keeps outsiders from 127.0.0.0/8
    writeSysctl(`net/ipv4/conf/${link.name}/route_localnet`, this.#hasFirewall ? '1' : '0');
    const present = new Set(
      listAddresses(this.#route, link.index).map(({ address, prefixLength }) => `${address}/${prefixLength}`),
    );
    for (const pool of network.spec.pools) {
      if (pool.gateway === undefined || pool.subnet === undefined) continue;
      const { length, family } = parsePrefix(pool.subnet);
      if (options.gatewayMode[family] === 'isolated' || (family === 4 && options.isAddressInhibited)) continue;
      if (present.has(`${pool.gateway}/${length}`)) continue;
      const broadcast = broadcastOf(parsePrefix(pool.subnet));
      const failure = this.#route.attempt(
        newAddress({
          linkIndex: link.index,
          address: pool.gateway,
          prefixLength: length,
          ...(broadcast === undefined ? {} : { broadcast }),
        }),
      )[0];
      if (failure !== undefined && !isErrno(failure.error, 'EEXIST')) throw failure.error;
    }
    if (!link.isUp) this.#route.execute(changeLink(link.index, { isUp: true }));
  }

  isPresent(network: Network): boolean {
    return findLink(this.#route, parseBridgeOptions(network.id, network.spec.options).bridge) !== undefined;
  }

  async remove(network: Network): Promise<void> {
    const { bridge } = parseBridgeOptions(network.id, network.spec.options);
    this.#indexes.delete(bridge);
    const link = findLink(this.#route, bridge);
    if (link?.alias === this.#ownership.aliasOf('network', network.id)) await deleteLinkNamed(link.name);
  }

  join(network: Network, record: EndpointRecord, sandbox: SandboxAccess): EndpointRecord {
    const { endpoint } = record;
    const namespaceFd = openSync(sandbox.namespacePath, 'r');
    const { interfaceName: name, macAddress } = endpoint;
    const peer = { name, namespaceFd, macAddress };
    try {
      const index = this.#makePair(network, record, peer, sandbox.nextIndex?.());
      if (index !== undefined) sandbox.links.set(name, index);
    } finally {
      closeSync(namespaceFd);
    }
    configureInside(sandbox, network, endpoint);
    return record;
  }

  makeLoose(network: Network, record: EndpointRecord, name: string): void {
    this.#makePair(network, record, { name, macAddress: record.endpoint.macAddress });
  }

  /** Gives the index of the peer, if it is the one wished for. */
  #makePair(
    network: Network,
    { endpoint, hostInterface }: EndpointRecord,
    peer: VethOptions['peer'],
    peerIndex?: number,
  ): number | undefined {
    const options = parseBridgeOptions(network.id, network.spec.options);
    const index = randomLinkIndex();
    const requests = (masterIndex: number, peer: VethOptions['peer']): NetlinkMessage[] => [
      newVeth({ name: hostInterface, index, masterIndex, mtu: options.mtu ?? this.#mtu, peer }),
      changeLink(index, {
        alias: this.#ownership.aliasOf('endpoint', endpoint.id),
        // hairpin: under br_netfilter a container that uses its own published port is answered by the bridge port itself
        bridgePort: { isHairpin: true, isIsolated: !options.isIccEnabled },
      }),
    ];
    const known = this.#indexes.get(options.bridge);
    if (known !== undefined) {
      const wished = peerIndex === undefined ? peer : { ...peer, index: peerIndex };
      const failure = this.#route.attempt(...requests(known, wished))[0];
      if (failure === undefined) return peerIndex;
      // the bridge has been made anew, or something else in the sandbox has the index: nothing was made
      if (!isErrno(failure.error, 'EINVAL', 'ENODEV', 'EBUSY', 'EEXIST')) throw failure.error;
    }
    const bridge = findLink(this.#route, options.bridge);
    if (bridge === undefined)
      throw new BoxshipError('unavailable', `bridge ${options.bridge} of network ${network.spec.name} is gone`);
    this.#indexes.set(options.bridge, bridge.index);
    this.#route.execute(...requests(bridge.index, peer));
    return undefined;
  }

  reattach(network: Network, hostInterface: string): void {
    const options = parseBridgeOptions(network.id, network.spec.options);
    const bridge = findLink(this.#route, options.bridge);
    const link = findLink(this.#route, hostInterface);
    if (bridge === undefined || link === undefined || link.masterIndex === bridge.index) return;
    this.#route.execute(
      changeLink(link.index, { masterIndex: bridge.index }),
      changeLink(link.index, { bridgePort: { isHairpin: true, isIsolated: !options.isIccEnabled } }),
    );
  }

  async leave(_network: Network, { endpoint, hostInterface }: EndpointRecord): Promise<void> {
    const link = findLink(this.#route, hostInterface);
    if (link?.alias === this.#ownership.aliasOf('endpoint', endpoint.id)) await deleteLinkNamed(hostInterface);
  }
}

/** Docker's prefix for addresses of its own making. */
function randomMac(): string {
  return `02:42:${randomBytes(4)
    .toString('hex')
    .replace(/..(?=.)/g, '$&:')}`;
}
