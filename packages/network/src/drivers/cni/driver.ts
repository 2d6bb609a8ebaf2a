/**
 * The driver `cni`: networks are what a CNI configuration list says (`-o cni.conf=/etc/cni/net.d/10-x.conflist`), interfaces
 * and addresses what its plugins make of it. Any CNI plugin so becomes a network of this engine.
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BoxshipError, writeFileAtomicSync } from '@boxship/base';
import type { CniResult } from '../../cni/protocol.ts';
import type { Endpoint, Network, NetworkSpec } from '../../controller.ts';
import type { EndpointRecord } from '../../model.ts';
import type { Driver, SandboxAccess } from '../driver.ts';
import { type ConfigurationList, parseConfigurationList, readConfiguration } from './conflist.ts';
import { type Attachment, addChain, deleteChain, findPlugin } from './run-plugin.ts';

const option = { file: 'cni.conf', list: 'cni.conflist', path: 'cni.path' } as const;
const defaultPath = '/opt/cni/bin:/usr/lib/cni:/usr/libexec/cni';

export class CniDriver implements Driver {
  readonly name = 'cni';
  readonly hasInterfaces = true;
  readonly hasHostEnds = false;
  readonly assignsAddresses = true;
  readonly isForeign = true as const;
  /** Results of ADD, which DEL must be given: one file per endpoint. */
  readonly #results: string;

  constructor(runDirectory: string) {
    this.#results = join(runDirectory, 'cni');
  }

  validate(spec: NetworkSpec): void {
    if ((spec.pools ?? []).some(({ subnet }) => subnet !== undefined))
      throw new BoxshipError('invalidArgument', 'addresses of a cni network are given by its plugins: no subnet');
    const options = this.fillOptions('', spec.options ?? {});
    for (const { type } of listOf(options).plugins) findPlugin(type, pathOf(options));
  }

  /** The list as it was when the network was made: a container must be taken out as it was put in. */
  fillOptions(_id: string, options: Readonly<Record<string, string>>): Record<string, string> {
    const file = options[option.file];
    if (options[option.list] !== undefined) return { ...options };
    if (file === undefined || file === '')
      throw new BoxshipError('invalidArgument', `a cni network needs the option ${option.file}=PATH`);
    return { ...options, [option.list]: JSON.stringify(parseConfigurationList(readConfiguration(file))) };
  }

  assert(): void {}

  isPresent(): boolean {
    return true;
  }

  async remove(): Promise<void> {}

  firewall(): undefined {
    return undefined;
  }

  interfacePrefix(): string {
    return 'eth';
  }

  async join(network: Network, record: EndpointRecord, sandbox: SandboxAccess): Promise<EndpointRecord> {
    const { options } = network.spec;
    const attachment = attachmentOf(record, sandbox);
    // remains of an earlier try: an attachment is added once
    if (this.#result(record.endpoint.id) !== undefined) await this.leave(network, record, sandbox);
    try {
      const result = await addChain(listOf(options), pathOf(options), attachment);
      mkdirSync(this.#results, { recursive: true, mode: 0o700 });
      writeFileAtomicSync(this.#fileOf(record.endpoint.id), JSON.stringify(result), { isDurable: false });
      return { ...record, endpoint: { ...record.endpoint, ...addressesIn(result, record.endpoint.interfaceName) } };
    } catch (error) {
      await deleteChain(listOf(options), pathOf(options), attachment, undefined).catch(() => {}); // the first error counts
      throw error;
    }
  }

  reattach(): void {}

  async leave(network: Network, record: EndpointRecord, sandbox: Pick<SandboxAccess, 'namespacePath'>): Promise<void> {
    const { options } = network.spec;
    const result = this.#result(record.endpoint.id);
    await deleteChain(listOf(options), pathOf(options), attachmentOf(record, sandbox), result);
    rmSync(this.#fileOf(record.endpoint.id), { force: true });
  }

  #fileOf(endpointId: string): string {
    return join(this.#results, endpointId);
  }

  #result(endpointId: string): CniResult | undefined {
    try {
      return JSON.parse(readFileSync(this.#fileOf(endpointId), 'utf8')) as CniResult;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }
}

const pathOf = (options: Readonly<Record<string, string>>): string => options[option.path] || defaultPath;
const listOf = (options: Readonly<Record<string, string>>): ConfigurationList =>
  parseConfigurationList(options[option.list] ?? '');

function attachmentOf({ endpoint }: EndpointRecord, { namespacePath }: { namespacePath: string }): Attachment {
  const { ipv4Address, ipv6Address, aliases, macAddress } = endpoint.spec;
  const ips = [ipv4Address, ipv6Address].flatMap((address) => (address ? [address] : []));
  return {
    containerId: endpoint.id,
    namespace: namespacePath,
    interfaceName: endpoint.interfaceName,
    capabilities: {
      ...(ips.length === 0 ? {} : { ips }),
      ...(macAddress ? { mac: macAddress } : {}),
      ...(aliases === undefined ? {} : { aliases: { [endpoint.networkName]: aliases } }),
    },
  };
}

/** What the record says of an interface, from the result of ADD. */
function addressesIn(result: CniResult, interfaceName: string): Partial<Endpoint> {
  const of = (family: 4 | 6) => {
    const found = result.ips?.find(({ address }) => address.includes(':') === (family === 6));
    const [address = '', length = '0'] = found?.address.split('/') ?? [];
    return { address, length: Number(length), gateway: found?.gateway ?? '' };
  };
  const [v4, v6] = [of(4), of(6)];
  const inside = result.interfaces?.find(({ name, sandbox }) => name === interfaceName && (sandbox ?? '') !== '');
  return {
    ...(inside?.mac === undefined ? {} : { macAddress: inside.mac }),
    ipv4Address: v4.address,
    ipv4PrefixLength: v4.length,
    ipv4Gateway: v4.gateway,
    ipv6Address: v6.address,
    ipv6PrefixLength: v6.length,
    ipv6Gateway: v6.gateway,
  };
}
