/**
 * Networks of Docker's plugins (`docker network create -d weave`): the plugin makes the interface in the host, we move it into
 * the container, name it and give it its addresses, as libnetwork does.
 */
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BoxshipError, writeFileAtomicSync } from '@boxship/base';
import { changeLink, findLink, type NetlinkSocket, setRoute } from '@boxship/linux';
import type { Endpoint, Network } from '../../controller.ts';
import { parsePrefix } from '../../ipam/prefix.ts';
import type { EndpointRecord } from '../../model.ts';
import type { Driver, SandboxAccess } from '../driver.ts';
import { configureInside } from '../inside.ts';
import { openRoute } from '../open-route.ts';
import type { PluginClient } from './client.ts';

export interface RemoteDriverOptions {
  readonly client: PluginClient;
  readonly route: NetlinkSocket;
  /** What plugins hold for us is written down here: networks in the one that survives reboots, endpoints in the other. */
  readonly stateDirectory: string;
  readonly runDirectory: string;
}

type Json = Readonly<Record<string, unknown>>;
const object = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

export class RemoteDriver implements Driver {
  readonly name: string;
  readonly hasInterfaces = true;
  readonly hasHostEnds = false;
  readonly assignsAddresses = false;
  readonly isForeign = true as const;
  readonly #client: PluginClient;
  readonly #route: NetlinkSocket;
  readonly #networks: string;
  readonly #endpoints: string;

  constructor(options: RemoteDriverOptions) {
    this.name = options.client.name;
    this.#client = options.client;
    this.#route = options.route;
    this.#networks = join(options.stateDirectory, 'plugin-networks');
    this.#endpoints = join(options.runDirectory, 'plugin-endpoints');
    for (const directory of [this.#networks, this.#endpoints]) mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  validate(): void {}

  fillOptions(_id: string, options: Readonly<Record<string, string>>): Record<string, string> {
    return { ...options };
  }

  /** Once: a plugin keeps its networks itself. */
  async assert({ id, spec }: Network): Promise<void> {
    if (read(join(this.#networks, id)) !== undefined) return;
    await this.#client.call('NetworkDriver.GetCapabilities');
    const data = (family: 4 | 6): object[] =>
      spec.pools.flatMap(({ subnet, gateway, auxAddresses }) =>
        subnet === undefined || parsePrefix(subnet).family !== family
          ? []
          : [
              {
                AddressSpace: 'LocalDefault',
                Pool: subnet,
                Gateway: gateway === undefined ? '' : `${gateway}/${parsePrefix(subnet).length}`,
                ...(auxAddresses === undefined ? {} : { AuxAddresses: auxAddresses }),
              },
            ],
      );
    const options = {
      'com.docker.network.enable_ipv6': spec.enableIPv6,
      'com.docker.network.generic': spec.options,
      ...(spec.isInternal ? { 'com.docker.network.internal': true } : {}),
    };
    const body = { NetworkID: id, Options: options, IPv4Data: data(4), IPv6Data: data(6) };
    await this.#client.call('NetworkDriver.CreateNetwork', body);
    writeFileSync(join(this.#networks, id), '', { mode: 0o600 });
  }

  isPresent(): boolean {
    return true;
  }

  async remove({ id }: Network): Promise<void> {
    if (read(join(this.#networks, id)) === undefined) return; // the plugin has refused it
    await this.#client.call('NetworkDriver.DeleteNetwork', { NetworkID: id });
    rmSync(join(this.#networks, id), { force: true });
  }

  firewall(): undefined {
    return undefined;
  }

  interfacePrefix(): string {
    return 'eth';
  }

  async join(network: Network, record: EndpointRecord, sandbox: SandboxAccess): Promise<EndpointRecord> {
    const { endpoint } = record;
    const ids = { NetworkID: network.id, EndpointID: endpoint.id };
    const file = join(this.#endpoints, endpoint.id);
    if (read(file) !== undefined) await this.leave(network, record, sandbox); // remains of an earlier try
    writeFileAtomicSync(file, '', { isDurable: false });
    const address = (of: string, length: number): string => (of === '' ? '' : `${of}/${length}`);
    await this.#client.call('NetworkDriver.CreateEndpoint', {
      ...ids,
      Interface: {
        Address: address(endpoint.ipv4Address, endpoint.ipv4PrefixLength),
        AddressIPv6: address(endpoint.ipv6Address, endpoint.ipv6PrefixLength),
        MacAddress: endpoint.macAddress,
      },
      Options: { 'com.docker.network.endpoint.exposedports': [], 'com.docker.network.portmap': [] },
    });
    const joined = object(
      await this.#client.call('NetworkDriver.Join', { ...ids, SandboxKey: sandbox.namespacePath, Options: {} }),
    );
    const interfaceName = text(object(joined['InterfaceName'])['SrcName']);
    if (interfaceName === '') throw new BoxshipError('internal', `plugin "${this.name}" gave no interface to join`);
    writeFileAtomicSync(file, interfaceName, { isDurable: false });
    this.#moveIn(interfaceName, endpoint, sandbox);
    configureInside(sandbox, network, endpoint);
    addRoutes(joined['StaticRoutes'], endpoint, sandbox);
    await this.#client.call('NetworkDriver.ProgramExternalConnectivity', { ...ids, Options: {} });
    return {
      ...record,
      endpoint: { ...endpoint, ipv4Gateway: text(joined['Gateway']), ipv6Gateway: text(joined['GatewayIPv6']) },
    };
  }

  #moveIn(name: string, endpoint: Endpoint, sandbox: SandboxAccess): void {
    const link = findLink(this.#route, name);
    if (link === undefined)
      throw new BoxshipError('unavailable', `interface ${name} of plugin "${this.name}" is not in the host`);
    const namespaceFd = openSync(sandbox.namespacePath, 'r');
    try {
      // down: it is to be renamed, and its MAC changed
      this.#route.execute(changeLink(link.index, { isUp: false }), changeLink(link.index, { namespaceFd }));
    } finally {
      closeSync(namespaceFd);
    }
    const inside = findLink(sandbox.route, name);
    if (inside === undefined) throw new BoxshipError('aborted', `interface ${name} vanished on its way into a sandbox`);
    const { interfaceName, macAddress } = endpoint;
    sandbox.route.execute(changeLink(inside.index, { newName: interfaceName, macAddress }));
  }

  reattach(): void {}

  /** The interface goes back to where it came from before the plugin is told. */
  async leave(
    network: Network,
    { endpoint }: EndpointRecord,
    { namespacePath }: Pick<SandboxAccess, 'namespacePath'>,
  ): Promise<void> {
    const file = join(this.#endpoints, endpoint.id);
    const name = read(file);
    if (name === undefined) return;
    if (name !== '') moveBack(endpoint.interfaceName, name, namespacePath);
    const ids = { NetworkID: network.id, EndpointID: endpoint.id };
    const failures: unknown[] = [];
    for (const method of ['RevokeExternalConnectivity', 'Leave', 'DeleteEndpoint'])
      await this.#client.call(`NetworkDriver.${method}`, ids).catch((error: unknown) => failures.push(error));
    rmSync(file, { force: true });
    if (failures.length > 0) throw failures[0];
  }
}

function moveBack(inside: string, outside: string, namespacePath: string): void {
  using route = openRoute(namespacePath);
  const link = route === undefined ? undefined : findLink(route, inside);
  if (route === undefined || link === undefined) return;
  const namespaceFd = openSync('/proc/thread-self/ns/net', 'r');
  try {
    route.execute(
      changeLink(link.index, { isUp: false }),
      changeLink(link.index, { newName: outside }),
      changeLink(link.index, { namespaceFd }),
    );
  } finally {
    closeSync(namespaceFd);
  }
}

/** RouteType 0: by a next hop, 1: by the interface. */
function addRoutes(routes: unknown, endpoint: Endpoint, sandbox: SandboxAccess): void {
  const linkIndex = findLink(sandbox.route, endpoint.interfaceName)?.index;
  if (!Array.isArray(routes) || linkIndex === undefined) return;
  for (const route of routes.map(object)) {
    const [destination, gateway] = [text(route['Destination']), text(route['NextHop'])];
    sandbox.route.execute(
      setRoute({ destination, linkIndex, ...(route['RouteType'] === 1 || gateway === '' ? {} : { gateway }) }),
    );
  }
}

/** undefined: there is no such file. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
