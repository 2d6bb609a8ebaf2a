/**
 * The commands of the plugin, as calls to the network controller: an attachment is a sandbox in a namespace of another
 * program, with one endpoint. Its id follows from container and interface, so that every command can be repeated.
 */
import { createHash } from 'node:crypto';
import { BoxshipError } from '@boxship/base';
import type { Endpoint, NetworkController } from '../../controller.ts';
import { type CniAddress, type CniResult, cniCode } from '../protocol.ts';
import { CniFailure } from './failure.ts';
import type { CniRequest, NetworkConfiguration } from './request.ts';

const interfaceNameKey = 'com.docker.network.endpoint.ifname';

const attachmentId = (network: string, containerId: string, interfaceName: string): string =>
  createHash('sha256').update(`cni\n${network}\n${containerId}\n${interfaceName}`).digest('hex');

export async function add(controller: NetworkController, request: CniRequest): Promise<CniResult> {
  const { configuration, containerId, interfaceName, namespace } = request;
  await ensureNetwork(controller, configuration);
  const id = attachmentId(configuration.network, containerId, interfaceName);
  const address = (family: 4 | 6): string | undefined =>
    configuration.ips.find((text) => text.includes(':') === (family === 6));
  const [ipv4Address, ipv6Address] = [address(4), address(6)];
  const sandbox = await controller.createSandbox({
    id,
    containerName: containerId,
    hostname: '',
    domainname: '',
    joinNamespace: namespace,
    endpoints: [
      {
        network: configuration.network,
        driverOptions: { [interfaceNameKey]: interfaceName },
        ...(configuration.aliases.length === 0 ? {} : { aliases: configuration.aliases }),
        ...(ipv4Address === undefined ? {} : { ipv4Address }),
        ...(ipv6Address === undefined ? {} : { ipv6Address }),
        ...(configuration.mac === '' ? {} : { macAddress: configuration.mac }),
      },
    ],
    ports: configuration.portMappings.map(({ hostIP, ...mapping }) => ({ ...mapping, hostIp: hostIP })),
  });
  const endpoint = sandbox.endpoints[0];
  if (endpoint === undefined) throw new CniFailure(cniCode.internal, 'the attachment has no endpoint', id);
  return resultOf(configuration, endpoint, namespace);
}

/** The network is made with the first attachment, like the bridge of other plugins. */
async function ensureNetwork(controller: NetworkController, conf: NetworkConfiguration): Promise<void> {
  const isThere = async (): Promise<boolean> =>
    (await controller.listNetworks()).some(({ spec }) => spec.name === conf.network);
  if (await isThere()) return;
  try {
    await controller.createNetwork({
      name: conf.network,
      driver: conf.driver,
      isInternal: conf.isInternal,
      enableIPv6: conf.hasIPv6 || conf.pools.some(({ subnet }) => subnet?.includes(':') === true),
      pools: conf.pools,
      options: conf.options,
      labels: { 'io.boxship.cni': conf.name },
    });
  } catch (error) {
    // another container of the network came first
    if (!(BoxshipError.is(error, 'conflict') && (await isThere()))) throw error;
  }
}

function resultOf(conf: NetworkConfiguration, endpoint: Endpoint, namespace: string): CniResult {
  const isOld = conf.cniVersion.startsWith('0.');
  const addresses = [
    [endpoint.ipv4Address, endpoint.ipv4PrefixLength, endpoint.ipv4Gateway, '4'],
    [endpoint.ipv6Address, endpoint.ipv6PrefixLength, endpoint.ipv6Gateway, '6'],
  ] as const;
  const present = addresses.filter(([address]) => address !== '');
  const before = conf.previousResult;
  const offset = before?.interfaces?.length ?? 0;
  const ips = present.map(
    ([address, prefixLength, gateway, version]): CniAddress => ({
      ...(isOld ? { version } : {}),
      address: `${address}/${prefixLength}`,
      ...(gateway === '' ? {} : { gateway }),
      interface: offset,
    }),
  );
  const routes = present.flatMap(([, , gw, version]) =>
    gw === '' ? [] : [{ dst: version === '4' ? '0.0.0.0/0' : '::/0', gw }],
  );
  return {
    cniVersion: conf.cniVersion,
    interfaces: [
      ...(before?.interfaces ?? []),
      { name: endpoint.interfaceName, mac: endpoint.macAddress, sandbox: namespace },
    ],
    ips: [...(before?.ips ?? []), ...ips],
    routes: [...(before?.routes ?? []), ...routes],
    // names of the containers of the network are served inside
    dns: before?.dns ?? (endpoint.networkName === 'bridge' ? {} : { nameservers: ['127.0.0.11'] }),
  };
}

/** What is not there is gone: DEL succeeds any number of times, with or without the namespace. */
export async function del(controller: NetworkController, request: CniRequest): Promise<void> {
  const { configuration, containerId, interfaceName } = request;
  await controller.removeSandbox(attachmentId(configuration.network, containerId, interfaceName));
}

/** @throws CniFailure when the attachment is not as ADD left it */
export async function check(controller: NetworkController, request: CniRequest): Promise<void> {
  const { configuration, containerId, interfaceName, namespace } = request;
  const before = configuration.previousResult;
  if (before === undefined)
    throw new CniFailure(cniCode.badConfiguration, 'required prevResult missing from the configuration');
  const id = attachmentId(configuration.network, containerId, interfaceName);
  const sandbox = await controller.sandbox(id).catch((error: unknown) => {
    if (BoxshipError.is(error, 'notFound')) return undefined;
    throw error;
  });
  const endpoint = sandbox?.endpoints[0];
  if (endpoint === undefined)
    throw new CniFailure(cniCode.unknownContainer, `container ${containerId} is not attached to ${configuration.name}`);
  const own = [endpoint.ipv4Address, endpoint.ipv6Address].filter((address) => address !== '');
  const said = (before.ips ?? []).map(({ address }) => address.split('/')[0]);
  for (const address of own)
    if (!said.includes(address))
      throw new CniFailure(cniCode.internal, `prevResult does not have the address ${address} of ${interfaceName}`);
  await checkKernel(namespace, interfaceName, own);
}

/** The interface is there, up, and has its addresses. */
async function checkKernel(namespace: string, interfaceName: string, addresses: readonly string[]): Promise<void> {
  const { findLink, isNamespaceFile, listAddresses, NetlinkSocket, netlinkProtocol, runInNetworkNamespace } =
    await import('@boxship/linux');
  if (!isNamespaceFile(namespace))
    throw new CniFailure(cniCode.unknownContainer, `${namespace} is no network namespace`);
  using route = runInNetworkNamespace(namespace, () => NetlinkSocket.open(netlinkProtocol.route));
  const link = findLink(route, interfaceName);
  if (link === undefined || !link.isUp)
    throw new CniFailure(cniCode.internal, `interface ${interfaceName} is ${link === undefined ? 'missing' : 'down'}`);
  const present = listAddresses(route, link.index).map(({ address }) => address);
  for (const address of addresses)
    if (!present.includes(address))
      throw new CniFailure(cniCode.internal, `interface ${interfaceName} has lost its address ${address}`);
}

/** Takes out every attachment to the network that is not among the valid ones. */
export async function collectGarbage(controller: NetworkController, { configuration }: CniRequest): Promise<void> {
  if (configuration.validAttachments === undefined)
    throw new CniFailure(cniCode.badConfiguration, 'cni.dev/valid-attachments is missing from the configuration');
  const valid = new Set(
    configuration.validAttachments.map(({ containerID, ifname }) =>
      attachmentId(configuration.network, containerID, ifname),
    ),
  );
  const failures: unknown[] = [];
  for (const sandbox of await controller.listSandboxes()) {
    const isOfNetwork = sandbox.endpoints.some(({ networkName }) => networkName === configuration.network);
    const isAttachment = sandbox.spec.joinNamespace !== undefined && isOfNetwork;
    if (!isAttachment || valid.has(sandbox.id)) continue;
    await controller.removeSandbox(sandbox.id).catch((error: unknown) => failures.push(error)); // the others all the same
  }
  if (failures.length > 0) throw failures[0];
}

/** @throws CniFailure 50 when no attachment could be made now */
export async function status(controller: NetworkController, { configuration }: CniRequest): Promise<void> {
  try {
    await controller.listNetworks();
  } catch (error) {
    throw new CniFailure(
      cniCode.notAvailable,
      `boxship-networkd does not answer at ${configuration.socket}`,
      String(error),
    );
  }
}
