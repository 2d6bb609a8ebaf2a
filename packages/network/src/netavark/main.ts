/**
 * `boxship-netavark`: stands where podman looks for netavark, and gives its containers the networks of a running
 * boxship-networkd. Commands, JSON on stdin and stdout, and errors are netavark's (1.4).
 */
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { BoxshipError, messageOf } from '@boxship/base';
import type { Endpoint, NetworkController, Sandbox } from '../controller.ts';
import { resolverAddress } from '../dns/server.ts';
import { connectController } from '../wire/connect.ts';
import { type NetavarkNetwork, type NetavarkRequest, parseRequest, podmanLabel, searchDomain } from './request.ts';

const socket = process.env['BOXSHIP_NETWORK_SOCKET'] ?? '/run/boxship/network.sock';

async function run(): Promise<unknown> {
  // netavark's own settings, which podman always gives, are about files that are not kept here
  const value = { type: 'string' } as const;
  const options = {
    ...{ config: { ...value, short: 'c' }, rootless: { ...value, short: 'r' }, file: { ...value, short: 'f' } },
    ...{ 'aardvark-binary': { ...value, short: 'a' }, 'plugin-directory': value },
  } as const;
  const { positionals } = parseArgs({ allowPositionals: true, options });
  const [command, namespace = ''] = positionals;
  if (command === 'version') return { version: '1.4.0', target: 'boxship' };
  if (command !== 'setup' && command !== 'teardown')
    throw new BoxshipError('unimplemented', `command ${command ?? ''} is unknown: setup, teardown or version`);
  const request = parseRequest(await text(process.stdin));
  using controller = connectController(socket);
  return command === 'setup' ? await setUp(controller, request, namespace) : await tearDown(controller, request);
}

async function setUp(controller: NetworkController, request: NetavarkRequest, namespace: string): Promise<object> {
  for (const network of request.networks) await ensureNetwork(controller, network);
  const endpoints = await join(controller, request, namespace);
  return Object.fromEntries(
    request.networks.map(({ spec, hasNames }) => [
      spec.name,
      statusOf(
        endpoints.find(({ networkName }) => networkName === spec.name),
        hasNames,
      ),
    ]),
  );
}

/** `podman network connect` is a setup, too: with the further network alone. */
async function join(
  controller: NetworkController,
  request: NetavarkRequest,
  namespace: string,
): Promise<readonly Endpoint[]> {
  const present = await findSandbox(controller, request.containerId);
  if (present !== undefined && present.spec.joinNamespace === namespace) {
    for (const { spec, endpoint } of request.networks)
      if (!present.endpoints.some(({ networkName }) => networkName === spec.name))
        await controller.connect(present.id, endpoint);
    return (await controller.sandbox(present.id)).endpoints;
  }
  // of a container that ended without podman's knowledge
  if (present !== undefined) await controller.removeSandbox(present.id);
  const sandbox = await controller.createSandbox({
    id: request.containerId,
    containerName: request.containerName,
    hostname: '',
    domainname: '',
    joinNamespace: namespace,
    dns: { servers: request.dnsServers },
    endpoints: request.networks.map(({ endpoint }) => endpoint),
    ports: request.ports,
    // podman listens on them itself, so that other programs do not take them
    arePortsHeld: true,
  });
  return sandbox.endpoints;
}

async function findSandbox(controller: NetworkController, id: string): Promise<Sandbox | undefined> {
  try {
    return await controller.sandbox(id);
  } catch (error) {
    if (BoxshipError.is(error, 'notFound')) return undefined;
    throw error;
  }
}

async function ensureNetwork(controller: NetworkController, { spec }: NetavarkNetwork): Promise<void> {
  const isThere = async (): Promise<boolean> =>
    (await controller.listNetworks()).some((network) => network.spec.name === spec.name);
  if (await isThere()) return;
  try {
    await controller.createNetwork(spec);
  } catch (error) {
    if (!(await isThere())) throw error; // another container of it was faster
  }
}

function statusOf(endpoint: Endpoint | undefined, hasNames: boolean): object {
  if (endpoint === undefined) throw new BoxshipError('internal', 'a network has no endpoint');
  const subnets = [
    { address: endpoint.ipv4Address, length: endpoint.ipv4PrefixLength, gateway: endpoint.ipv4Gateway },
    { address: endpoint.ipv6Address, length: endpoint.ipv6PrefixLength, gateway: endpoint.ipv6Gateway },
  ].filter(({ address }) => address !== '');
  return {
    dns_search_domains: hasNames ? [searchDomain] : [],
    dns_server_ips: hasNames ? [resolverAddress] : [],
    interfaces: {
      [endpoint.interfaceName]: {
        mac_address: endpoint.macAddress,
        subnets: subnets.map(({ address, length, gateway }) => ({
          ipnet: `${address}/${length}`,
          ...(gateway === '' ? {} : { gateway }),
        })),
      },
    },
  };
}

/**
 * `podman network disconnect` is a teardown, too: of one network of several. The last container takes its networks along: podman
 * keeps their definitions.
 */
async function tearDown(controller: NetworkController, request: NetavarkRequest): Promise<undefined> {
  const present = await findSandbox(controller, request.containerId);
  const isLeft = (endpoint: Endpoint): boolean =>
    request.networks.some(({ spec }) => spec.name === endpoint.networkName);
  if (present?.endpoints.every(isLeft) === true) await controller.removeSandbox(present.id);
  else
    for (const { networkId } of present?.endpoints.filter(isLeft) ?? [])
      await controller.disconnect(request.containerId, networkId, { force: true });
  for (const { spec, id } of await controller.listNetworks()) {
    const isMeant = request.networks.some((network) => network.spec.name === spec.name);
    if (!isMeant || spec.labels[podmanLabel] === undefined) continue;
    try {
      await controller.removeNetwork(id);
    } catch (error) {
      if (!BoxshipError.is(error, 'permissionDenied') && !BoxshipError.is(error, 'notFound')) throw error; // in use, or gone
    }
  }
}

run().then(
  (result) => {
    if (result !== undefined) process.stdout.write(`${JSON.stringify(result)}\n`);
  },
  (error: unknown) => {
    process.stdout.write(`${JSON.stringify({ error: messageOf(error) })}\n`);
    process.exitCode = 1;
  },
);
