/**
 * The drivers `macvlan` and `ipvlan`: interfaces of containers stand directly on one of the host, beside it on its network.
 * No bridge, no translation, no firewall of ours: containers are reached like machines of their own, only not by their host,
 * whose packets do not come back by the interface they leave by. The kernel knows no end of such an interface in the host.
 */
import { closeSync, openSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import { deleteLink, findLink, isErrno, type NetlinkSocket, newChild, randomLinkIndex, setRoute } from '@boxship/linux';
import type { Network, NetworkSpec } from '../../controller.ts';
import type { EndpointRecord } from '../../model.ts';
import type { Ownership } from '../bridge/ownership.ts';
import { deleteLinkNamed } from '../delete-link.ts';
import type { Driver, SandboxAccess } from '../driver.ts';
import { configureInside } from '../inside.ts';
import { openRoute } from '../open-route.ts';
import { type ChildDriverName, type ChildOptions, parseChildOptions } from './options.ts';
import { ensureParent, parentName, removeParent } from './parent.ts';

export interface ChildDriverOptions {
  readonly name: ChildDriverName;
  readonly route: NetlinkSocket;
  readonly ownership: Ownership;
  /** All networks: two of them cannot share a parent. */
  readonly networks: () => Iterable<Network>;
}

export class ChildDriver implements Driver {
  readonly name: ChildDriverName;
  readonly hasInterfaces = true;
  readonly hasHostEnds = false;
  readonly assignsAddresses = false;
  readonly #options: ChildDriverOptions;
  #isSupported = false;

  constructor(options: ChildDriverOptions) {
    this.name = options.name;
    this.#options = options;
  }

  validate(spec: NetworkSpec): void {
    const { parent } = parseChildOptions(this.name, spec.options ?? {});
    if (parent === undefined || spec.isConfigOnly === true) return;
    for (const network of this.#options.networks()) {
      const isOther = network.spec.driver === 'macvlan' || network.spec.driver === 'ipvlan';
      // Docker's text
      if (isOther && !network.spec.isConfigOnly && network.spec.options['parent'] === parent)
        throw new BoxshipError(
          'permissionDenied',
          `network ${network.spec.name} is already using parent interface ${parent}`,
        );
    }
  }

  fillOptions(_id: string, options: Readonly<Record<string, string>>): Record<string, string> {
    return { ...options };
  }

  assert(network: Network): void {
    const options = this.#parse(network);
    const parent = ensureParent(this.#options.route, this.#options.ownership, this.#of(network, options));
    this.#probe(parent.index, options);
  }

  /** Whether this kernel can carry such interfaces: told when a network is made, not when it is used. */
  #probe(parentIndex: number, { type }: ChildOptions): void {
    if (this.#isSupported) return;
    const { route } = this.#options;
    const index = randomLinkIndex();
    try {
      route.execute(newChild({ name: `bxp${index.toString(36)}`, index, parentIndex, type }), deleteLink(index));
    } catch (error) {
      if (isErrno(error, 'EOPNOTSUPP'))
        throw new BoxshipError('unimplemented', `this kernel has no ${this.name} (module ${this.name} is missing)`, {
          cause: error,
        });
      if (!isInUse(error, type)) throw error;
    }
    this.#isSupported = true;
  }

  isPresent(network: Network): boolean {
    return findLink(this.#options.route, parentName(this.#of(network, this.#parse(network)))) !== undefined;
  }

  async remove(network: Network): Promise<void> {
    await removeParent(this.#options.route, this.#options.ownership, this.#of(network, this.#parse(network)));
  }

  firewall(): undefined {
    return undefined;
  }

  interfacePrefix(network: Network): string {
    return network.spec.options['com.docker.network.container_iface_prefix'] ?? 'eth';
  }

  join(network: Network, record: EndpointRecord, sandbox: SandboxAccess): EndpointRecord {
    const options = this.#parse(network);
    const { endpoint } = record;
    const namespaceFd = openSync(sandbox.namespacePath, 'r');
    try {
      this.#make(network, record, endpoint.interfaceName, namespaceFd);
    } finally {
      closeSync(namespaceFd);
    }
    configureInside(sandbox, network, endpoint);
    if (!options.isRouted) return record;
    this.#routeByInterface(endpoint, sandbox);
    return { ...record, endpoint: { ...endpoint, ipv4Gateway: '', ipv6Gateway: '' } };
  }

  makeLoose(network: Network, record: EndpointRecord, name: string): void {
    this.#make(network, record, name, undefined);
  }

  #make(network: Network, { endpoint }: EndpointRecord, name: string, namespaceFd: number | undefined): void {
    const options = this.#parse(network);
    const { route, ownership } = this.#options;
    const parent = ensureParent(route, ownership, this.#of(network, options));
    try {
      route.execute(
        newChild({
          name,
          index: randomLinkIndex(),
          parentIndex: parent.index,
          type: options.type,
          mtu: options.mtu ?? parent.mtu,
          ...(namespaceFd === undefined ? {} : { namespaceFd }),
          // an ipvlan has the address of its parent
          ...(this.name === 'macvlan' ? { macAddress: endpoint.macAddress } : {}),
        }),
      );
    } catch (error) {
      throw explained(error, parent.name, options);
    }
  }

  /** ipvlan in its routed modes asks nobody for the next hop. */
  #routeByInterface(endpoint: EndpointRecord['endpoint'], sandbox: SandboxAccess): void {
    const linkIndex = findLink(sandbox.route, endpoint.interfaceName)?.index;
    if (linkIndex === undefined) return;
    const destinations = [
      ...(endpoint.ipv4Address === '' ? [] : ['0.0.0.0/0']),
      ...(endpoint.ipv6Address === '' ? [] : ['::/0']),
    ];
    sandbox.route.execute(...destinations.map((destination) => setRoute({ destination, linkIndex })));
  }

  /** There are no ends in the host to put back. */
  reattach(): void {}

  async leave(
    _network: Network,
    { endpoint }: EndpointRecord,
    { namespacePath }: Pick<SandboxAccess, 'namespacePath'>,
  ): Promise<void> {
    using route = openRoute(namespacePath);
    if (route !== undefined) await deleteLinkNamed(endpoint.interfaceName, route);
  }

  #parse(network: Network): ChildOptions {
    return parseChildOptions(this.name, network.spec.options);
  }

  #of(network: Network, { parent }: ChildOptions) {
    return { networkId: network.id, parent };
  }
}

/** A parent that serves an interface in mode passthru takes no other. */
const isInUse = (error: unknown, type: ChildOptions['type']): boolean =>
  type.kind === 'macvlan' && type.mode === 'passthru' && isErrno(error, 'EINVAL', 'EBUSY');

function explained(error: unknown, parent: string, { type }: ChildOptions): unknown {
  if (isInUse(error, type))
    return new BoxshipError('conflict', `parent ${parent} serves one container only in mode passthru, and has one`, {
      cause: error,
    });
  return error;
}
