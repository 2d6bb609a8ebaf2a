/**
 * The edge towards foreign engines: libnetwork's remote driver protocol (NetworkDriver and IpamDriver) as HTTP with JSON on a
 * unix socket, where dockerd looks for plugins: `/run/docker/plugins/boxship.sock`. An error is an answer with status 200.
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { dirname } from 'node:path';
import { BoxshipError, type Logger, messageOf, withSpan } from '@boxship/base';
import type { AddressPool, PortRequest } from '../controller.ts';
import type { ForeignNetworks } from './networks.ts';
import { addressSpaces, type ForeignPools } from './pools.ts';

export interface ForeignEngines {
  readonly networks: ForeignNetworks;
  readonly pools: ForeignPools;
}

export interface ServePluginOptions extends ForeignEngines {
  readonly path: string;
  readonly log: Logger;
}

type Json = Readonly<Record<string, unknown>>;
type Method = (body: Json) => unknown;

const contentType = 'application/vnd.docker.plugins.v1.2+json';
const maxBodyBytes = 1 << 20;
const genericKey = 'com.docker.network.generic';
const portMapKey = 'com.docker.network.portmap';

const object = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
const list = (value: unknown): readonly Json[] => (Array.isArray(value) ? value.map(object) : []);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Serves until disposed. */
export async function servePlugin(options: ServePluginOptions): Promise<AsyncDisposable> {
  const methods = { ...networkMethods(options.networks), ...ipamMethods(options.pools) };
  const server = createServer((request, response) => {
    const name = (request.url ?? '').slice(1);
    const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
    const answer = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': contentType }).end(`${JSON.stringify(body)}\n`);
    };
    if (method === undefined || request.method !== 'POST') {
      request.resume();
      answer(404, { Err: `method ${name} is not implemented` });
      return;
    }
    withSpan({ component: 'plugin', name }, async () => await method(await bodyOf(request))).then(
      (result) => answer(200, object(result)),
      (error: unknown) => {
        options.log.info('request of a foreign engine failed', { name, error });
        answer(200, { [name.startsWith('IpamDriver') ? 'Error' : 'Err']: messageOf(error) });
      },
    );
  });
  mkdirSync(dirname(options.path), { recursive: true, mode: 0o755 });
  rmSync(options.path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.path, resolve);
  });
  chmodSync(options.path, 0o600);
  return {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<Json> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes)
      throw new BoxshipError('invalidArgument', `the request has more than ${maxBodyBytes} bytes`);
    chunks.push(chunk);
  }
  const content = Buffer.concat(chunks).toString('utf8').trim();
  if (content === '') return {}; // what has no argument comes without a body
  try {
    return object(JSON.parse(content));
  } catch (error) {
    throw new BoxshipError('invalidArgument', `the request is no JSON: ${(error as Error).message}`, { cause: error });
  }
}

function networkMethods(networks: ForeignNetworks): Record<string, Method> {
  const endpointOf = (body: Json): string => text(body['EndpointID']);
  return {
    'Plugin.Activate': () => ({ Implements: ['NetworkDriver', 'IpamDriver'] }),
    'NetworkDriver.GetCapabilities': () => ({ Scope: 'local', ConnectivityScope: 'local' }),
    async 'NetworkDriver.CreateNetwork'(body) {
      const options = object(body['Options']);
      const pools = [...list(body['IPv4Data']), ...list(body['IPv6Data'])].map(poolOf);
      await networks.create({
        id: text(body['NetworkID']),
        options: Object.fromEntries(
          Object.entries(object(options[genericKey])).flatMap(([key, value]) =>
            typeof value === 'string' ? [[key, value]] : [],
          ),
        ),
        pools,
        enableIPv6: options['com.docker.network.enable_ipv6'] === true,
        isInternal: options['com.docker.network.internal'] === true,
      });
    },
    'NetworkDriver.DeleteNetwork': (body) => networks.remove(text(body['NetworkID'])),
    async 'NetworkDriver.CreateEndpoint'(body) {
      const wanted = object(body['Interface']);
      const macAddress = text(wanted['MacAddress']);
      const made = await networks.createEndpoint({
        networkId: text(body['NetworkID']),
        id: endpointOf(body),
        ipv4: text(wanted['Address']),
        ipv6: text(wanted['AddressIPv6']),
        macAddress,
        ports: portsOf(object(body['Options'])) ?? [],
      });
      // only what was empty may be filled in
      return { Interface: macAddress === '' ? { MacAddress: made.macAddress } : {} };
    },
    async 'NetworkDriver.Join'(body) {
      const joined = await networks.join(text(body['NetworkID']), endpointOf(body));
      return {
        InterfaceName: { SrcName: joined.interfaceName, DstPrefix: joined.prefix },
        Gateway: joined.ipv4Gateway,
        GatewayIPv6: joined.ipv6Gateway,
      };
    },
    'NetworkDriver.ProgramExternalConnectivity': (body) =>
      networks.publish(endpointOf(body), portsOf(object(body['Options']))),
    'NetworkDriver.RevokeExternalConnectivity': (body) => networks.withdraw(endpointOf(body)),
    'NetworkDriver.EndpointOperInfo': () => ({ Value: {} }),
    'NetworkDriver.Leave': (body) => networks.leave(endpointOf(body)),
    'NetworkDriver.DeleteEndpoint': (body) => networks.removeEndpoint(endpointOf(body)),
    'NetworkDriver.DiscoverNew': () => ({}),
    'NetworkDriver.DiscoverDelete': () => ({}),
  };
}

function ipamMethods(pools: ForeignPools): Record<string, Method> {
  return {
    'IpamDriver.GetCapabilities': () => ({ RequiresMACAddress: false, RequiresRequestReplay: false }),
    'IpamDriver.GetDefaultAddressSpaces': () => ({
      LocalDefaultAddressSpace: addressSpaces.local,
      GlobalDefaultAddressSpace: addressSpaces.global,
    }),
    'IpamDriver.RequestPool'(body) {
      const wanted = { pool: text(body['Pool']), subPool: text(body['SubPool']), isV6: body['V6'] === true };
      const { id, subnet } = pools.requestPool(wanted);
      return { PoolID: id, Pool: subnet, Data: {} };
    },
    'IpamDriver.ReleasePool': (body) => pools.releasePool(text(body['PoolID'])),
    'IpamDriver.RequestAddress'(body) {
      const isGateway = object(body['Options'])['RequestAddressType'] === 'com.docker.network.gateway';
      const address = pools.requestAddress(text(body['PoolID']), { address: text(body['Address']), isGateway });
      return { Address: address, Data: {} };
    },
    'IpamDriver.ReleaseAddress': (body) => pools.releaseAddress(text(body['PoolID']), text(body['Address'])),
  };
}

/** The gateway comes with the prefix length of its network. */
function poolOf(data: Json): AddressPool {
  const gateway = text(data['Gateway']).split('/')[0] ?? '';
  return { subnet: text(data['Pool']), ...(gateway === '' ? {} : { gateway }) };
}

const protocols: Readonly<Record<number, PortRequest['protocol']>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };

/** undefined: nothing was said of ports. */
function portsOf(options: Json): PortRequest[] | undefined {
  if (options[portMapKey] === undefined) return undefined;
  return list(options[portMapKey]).map((binding) => {
    const number = (key: string): number => (typeof binding[key] === 'number' ? binding[key] : 0);
    const protocol = protocols[number('Proto')];
    if (protocol === undefined)
      throw new BoxshipError('invalidArgument', `unknown protocol ${number('Proto')} of a port`);
    return {
      protocol,
      containerPort: number('Port'),
      hostIp: text(binding['HostIP']),
      hostPort: number('HostPort'),
      ...(number('HostPortEnd') > number('HostPort') ? { hostPortEnd: number('HostPortEnd') } : {}),
    };
  });
}
