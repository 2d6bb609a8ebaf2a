/**
 * The network driver that foreign engines use: dockerd owns names, addresses and namespaces, our drivers make the interfaces and
 * our firewall the ports. An endpoint of theirs is a sandbox record without a namespace: at `join` the interface is made with
 * its inner end loose in the host, and the foreign engine moves that end into the container itself.
 */
import { BoxshipError, failPoint, shortId } from '@boxship/base';
import { findLink } from '@boxship/linux';
import type { Context } from '../context.ts';
import type { AddressPool, Endpoint, PortRequest } from '../controller.ts';
import { deleteLinkNamed } from '../drivers/delete-link.ts';
import { driverNamed } from '../drivers/lookup.ts';
import type { EndpointRecord, SandboxRecord } from '../model.ts';
import { makeNetwork } from '../networks/create.ts';
import { takeBack } from '../networks/remove.ts';
import { macOf } from '../sandboxes/mac.ts';
import { directListeners, firewallPorts, holdPorts } from '../sandboxes/ports.ts';
import { takeBackSandbox } from '../sandboxes/remove.ts';

export interface ForeignNetwork {
  readonly id: string;
  /** `-o` options; `boxship.driver` chooses ours, else a `parent` means macvlan. */
  readonly options: Readonly<Record<string, string>>;
  readonly pools: readonly AddressPool[];
  readonly enableIPv6: boolean;
  readonly isInternal: boolean;
}

export interface ForeignEndpoint {
  readonly networkId: string;
  readonly id: string;
  /** With prefix length; empty: none. */
  readonly ipv4: string;
  readonly ipv6: string;
  readonly macAddress: string;
  readonly ports: readonly PortRequest[];
}

export interface Joined {
  /** In the host's namespace, to be moved and renamed. */
  readonly interfaceName: string;
  readonly prefix: string;
  readonly ipv4Gateway: string;
  readonly ipv6Gateway: string;
}

const driverKey = 'boxship.driver';
const looseName = (endpointId: string): string => `bxl${endpointId.slice(0, 12)}`;

export class ForeignNetworks {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Idempotent by id. */
  async create({ id, options, pools, enableIPv6, isInternal }: ForeignNetwork): Promise<void> {
    const { mutex, state } = this.#context;
    const { [driverKey]: chosen, ...rest } = options;
    const driver = chosen ?? (rest['parent'] === undefined ? 'bridge' : 'macvlan');
    if (!['bridge', 'macvlan', 'ipvlan'].includes(driver))
      throw new BoxshipError('invalidArgument', `option ${driverKey}=${driver}: bridge, macvlan or ipvlan is needed`);
    if (enableIPv6) this.#context.forwardIPv6();
    await mutex.run('networks', async () => {
      if (state.networks.has(id)) return;
      const enableIPv4 = pools.some(({ subnet }) => subnet?.includes('.') === true);
      const spec = { name: `foreign-${shortId(id)}`, driver, isInternal, enableIPv4, enableIPv6, pools, options: rest };
      await makeNetwork(this.#context, spec, id);
    });
  }

  /** An unknown one is removed. */
  async remove(id: string): Promise<void> {
    await this.#context.mutex.run('networks', async () => {
      const record = this.#context.state.networks.get(id);
      if (record !== undefined) await takeBack(this.#context, { state: 'deleting', network: record.network });
    });
  }

  /** Records the endpoint; the kernel sees it at `join`. Gives the MAC when the caller has none. */
  async createEndpoint(wanted: ForeignEndpoint): Promise<{ macAddress: string }> {
    const { state, store, bootId, namespaceDirectory } = this.#context;
    return await this.#inTurn(wanted.id, async () => {
      const network = state.network(wanted.networkId);
      const gateway = (family: 4 | 6): string =>
        network.spec.isInternal
          ? ''
          : (network.spec.pools.find(({ subnet }) => subnet?.includes(':') === (family === 6))?.gateway ?? '');
      const [ipv4Address = '', ipv4Length = '0'] = wanted.ipv4.split('/');
      const [ipv6Address = '', ipv6Length = '0'] = wanted.ipv6.split('/');
      const endpoint: Endpoint = {
        id: wanted.id,
        networkId: network.id,
        networkName: network.spec.name,
        interfaceName: '',
        macAddress: wanted.macAddress || macOf(ipv4Address, wanted.id),
        ipv4Address,
        ipv4PrefixLength: Number(ipv4Length),
        ipv4Gateway: ipv4Address === '' ? '' : gateway(4),
        ipv6Address,
        ipv6PrefixLength: Number(ipv6Length),
        ipv6Gateway: ipv6Address === '' ? '' : gateway(6),
        dnsNames: [],
        spec: { network: network.id },
      };
      const { hasHostEnds } = driverNamed(this.#context, network.spec.driver);
      const record: SandboxRecord = {
        state: 'ready',
        isForeign: true,
        spec: {
          id: wanted.id,
          containerName: shortId(wanted.id),
          hostname: '',
          domainname: '',
          endpoints: [endpoint.spec],
          ports: wanted.ports,
        },
        bootId,
        namespacePath: `${namespaceDirectory}/${wanted.id}`,
        endpoints: [{ endpoint, hostInterface: hasHostEnds ? `bx${wanted.id.slice(0, 12)}` : '' }],
        ports: [],
        nextInterface: 1,
      };
      store.saveSandbox(record);
      state.setSandbox(record);
      await failPoint('plugin.endpoint');
      return { macAddress: endpoint.macAddress };
    });
  }

  /** @throws notFound */
  async join(networkId: string, endpointId: string): Promise<Joined> {
    return await this.#inTurn(endpointId, async () => {
      const { record, member } = this.#find(endpointId);
      const network = this.#context.state.network(networkId);
      const driver = driverNamed(this.#context, network.spec.driver);
      if (driver.makeLoose === undefined)
        throw new BoxshipError('unimplemented', `driver ${driver.name} does not serve other engines`);
      const interfaceName = looseName(endpointId);
      await this.#dropLinks(record, member); // of an earlier try
      driver.makeLoose(network, member, interfaceName);
      await failPoint('plugin.joined');
      return {
        interfaceName,
        prefix: driver.interfacePrefix(network),
        ipv4Gateway: member.endpoint.ipv4Gateway,
        ipv6Gateway: member.endpoint.ipv6Gateway,
      };
    });
  }

  /** @throws unknown with Docker's text when a port is taken */
  async publish(endpointId: string, ports: readonly PortRequest[] | undefined): Promise<void> {
    await this.#inTurn(endpointId, async () => {
      const { record } = this.#find(endpointId);
      const wanted = ports === undefined ? record : { ...record, spec: { ...record.spec, ports } };
      const held = await holdPorts(this.#context, wanted);
      this.#keep(held);
      directListeners(this.#context, held);
      await this.#context.firewall.move([], firewallPorts(this.#context, held));
    });
  }

  async withdraw(endpointId: string): Promise<void> {
    await this.#inTurn(endpointId, async () => {
      const record = this.#context.state.sandboxes.get(endpointId);
      if (record === undefined) return;
      await this.#context.firewall.move(firewallPorts(this.#context, record), []);
      this.#context.ports.release(endpointId);
      this.#keep({ ...record, ports: [] });
    });
  }

  async leave(endpointId: string): Promise<void> {
    await this.#inTurn(endpointId, async () => {
      const record = this.#context.state.sandboxes.get(endpointId);
      for (const member of record?.endpoints ?? []) if (record !== undefined) await this.#dropLinks(record, member);
    });
  }

  async removeEndpoint(endpointId: string): Promise<void> {
    await this.#inTurn(endpointId, async () => {
      const record = this.#context.state.sandboxes.get(endpointId);
      if (record?.isForeign !== true) return;
      for (const member of record.endpoints) await this.#dropLinks(record, member);
      await takeBackSandbox(this.#context, record);
    });
  }

  #inTurn<T>(endpointId: string, work: () => Promise<T>): Promise<T> {
    return this.#context.mutex.run(`sandbox:${endpointId}`, work);
  }

  #find(endpointId: string): { record: SandboxRecord; member: EndpointRecord } {
    const record = this.#context.state.sandboxes.get(endpointId);
    const member = record?.endpoints[0];
    if (record === undefined || member === undefined || record.isForeign !== true)
      throw new BoxshipError('notFound', `endpoint ${endpointId} not found`);
    return { record, member };
  }

  #keep(record: SandboxRecord): void {
    this.#context.store.saveSandbox(record);
    this.#context.state.setSandbox(record);
  }

  /** The host end, which takes the inner end along wherever it is, and an inner end that was given back. */
  async #dropLinks(record: SandboxRecord, member: EndpointRecord): Promise<void> {
    const network = this.#context.state.networks.get(member.endpoint.networkId)?.network;
    if (network !== undefined && member.hostInterface !== '')
      await driverNamed(this.#context, network.spec.driver).leave(network, member, record);
    const loose = looseName(member.endpoint.id);
    if (findLink(this.#context.route, loose) !== undefined) await deleteLinkNamed(loose);
  }
}
