/** The controller's memory: an index over the records of the store. Questions only; every change goes to the store first. */
import { BoxshipError } from '@boxship/base';
import type { Network } from './controller.ts';
import { NameIndex } from './dns/names.ts';
import type { EndpointRecord, NetworkRecord, SandboxRecord } from './model.ts';

export class State {
  readonly networks = new Map<string, NetworkRecord>();
  readonly sandboxes = new Map<string, SandboxRecord>();
  /** Addresses in use, by network: what IPAM avoids. */
  readonly #addresses = new Map<string, Map<string, string>>();
  /** Names of the endpoints of sandboxes that stand. */
  readonly names = new NameIndex();

  setSandbox(record: SandboxRecord): void {
    this.#forget(record.spec.id);
    this.sandboxes.set(record.spec.id, record);
    for (const { endpoint } of record.endpoints) {
      const used = this.#addresses.get(endpoint.networkId) ?? new Map<string, string>();
      this.#addresses.set(endpoint.networkId, used);
      for (const address of [endpoint.ipv4Address, endpoint.ipv6Address])
        if (address !== '') used.set(address, record.spec.id);
      if (record.state === 'ready') this.names.add(endpoint);
    }
  }

  deleteSandbox(id: string): void {
    this.#forget(id);
    this.sandboxes.delete(id);
  }

  #forget(id: string): void {
    for (const { endpoint } of this.sandboxes.get(id)?.endpoints ?? []) {
      const used = this.#addresses.get(endpoint.networkId);
      used?.delete(endpoint.ipv4Address);
      used?.delete(endpoint.ipv6Address);
      this.names.remove(endpoint);
    }
  }

  usedAddresses(networkId: string): Pick<ReadonlySet<string>, 'has'> {
    return this.#addresses.get(networkId) ?? new Set();
  }

  /** By full id, then name, then unique id prefix. @throws notFound, invalidArgument if ambiguous */
  network(idOrName: string): Network {
    const byId = this.networks.get(idOrName);
    if (byId?.state === 'ready') return byId.network;
    let byPrefix: Network | undefined;
    let isAmbiguous = false;
    for (const { network, state } of this.networks.values()) {
      if (state !== 'ready') continue; // being made or removed
      if (network.spec.name === idOrName) return network;
      if (idOrName === '' || !network.id.startsWith(idOrName)) continue;
      isAmbiguous ||= byPrefix !== undefined;
      byPrefix = network;
    }
    if (isAmbiguous)
      throw new BoxshipError(
        'invalidArgument',
        `network ${idOrName} is ambiguous (matches more than one by id prefix)`,
      );
    if (byPrefix === undefined) throw new BoxshipError('notFound', `network ${idOrName} not found`);
    return byPrefix;
  }

  /** @throws notFound */
  sandbox(id: string): SandboxRecord {
    const record = this.sandboxes.get(id);
    if (record === undefined) throw new BoxshipError('notFound', `sandbox ${id} not found`);
    return record;
  }

  /** Every sandbox joined to the network, with its endpoint there. */
  membersOf(networkId: string): { sandbox: SandboxRecord; member: EndpointRecord }[] {
    const members: { sandbox: SandboxRecord; member: EndpointRecord }[] = [];
    for (const sandbox of this.sandboxes.values()) {
      const member = sandbox.endpoints.find(({ endpoint }) => endpoint.networkId === networkId);
      if (member !== undefined) members.push({ sandbox, member });
    }
    return members;
  }
}
