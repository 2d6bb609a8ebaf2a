/** The settings of a cluster, as dockerd 20.10 named them: `--cluster-store`, `--cluster-store-opt`, `--cluster-advertise`. */
import { readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { BoxshipError } from '@boxship/base';
import { findLink, listAddresses, listLinks, type NetlinkSocket } from '@boxship/linux';
import type { EtcdOptions } from './etcd.ts';

export interface ClusterSettings {
  readonly etcd: EtcdOptions;
  /** Interface or IPv4 address of this host at which the others reach it. */
  readonly advertise: string;
  readonly heartbeatSeconds: number;
  readonly ttlSeconds: number;
}

/** Where packets of the tunnels leave this host. */
export interface Underlay {
  readonly address: string;
  readonly interfaceName: string;
}

export const clusterFlags = {
  texts: ['cluster-store', 'cluster-advertise'],
  lists: ['cluster-store-opt'],
};

export const clusterUsage = ` of overlay networks, which several engines have in common:
  --cluster-store URL          where the engines meet: etcd://HOST:PORT[,HOST:PORT][/PATH]
  --cluster-advertise IF|IP    interface or IPv4 address at which the others reach this host
  --cluster-store-opt KEY=TEXT kv.path, kv.cacertfile, kv.certfile, kv.keyfile, discovery.heartbeat, discovery.ttl
`;

const optionNames = ['kv.path', 'kv.cacertfile', 'kv.certfile', 'kv.keyfile', 'discovery.heartbeat', 'discovery.ttl'];

/** undefined: this engine is in no cluster. @throws invalidArgument naming the flag */
export function clusterSettings(
  given: (name: string) => string | undefined,
  storeOptions: readonly string[],
): ClusterSettings | undefined {
  const url = given('cluster-store');
  const advertised = given('cluster-advertise');
  if (url === undefined && advertised === undefined && storeOptions.length === 0) return undefined;
  if (url === undefined || advertised === undefined)
    throw new BoxshipError('invalidArgument', '--cluster-store and --cluster-advertise are given together');
  const options = optionsOf(storeOptions);
  const { members, path } = parseUrl(url);
  const root = (options.get('kv.path') ?? path).replace(/^\/+|\/+$/g, '');
  const heartbeatSeconds = secondsIn(options, 'discovery.heartbeat', 5);
  const ttlSeconds = secondsIn(options, 'discovery.ttl', 3 * heartbeatSeconds);
  if (ttlSeconds <= heartbeatSeconds)
    throw new BoxshipError('invalidArgument', 'discovery.ttl must be longer than discovery.heartbeat');
  const file = (key: string): Buffer | undefined => readPem(options.get(key), key);
  const [authority, certificate, key] = [file('kv.cacertfile'), file('kv.certfile'), file('kv.keyfile')];
  const tls = {
    ...(authority === undefined ? {} : { authority }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key }),
  };
  return {
    etcd: { members, root: `${root === '' ? 'boxship' : root}/`, tls: Object.keys(tls).length === 0 ? undefined : tls },
    // dockerd's port is that of its API, which no other engine asks
    advertise: advertised.replace(/:\d+$/, ''),
    heartbeatSeconds,
    ttlSeconds,
  };
}

function parseUrl(url: string): { members: string[]; path: string } {
  const [, scheme, authority = '', path = ''] = /^([a-z]+):\/\/([^/]+)(\/.*)?$/.exec(url) ?? [];
  if (scheme !== 'etcd')
    throw new BoxshipError('invalidArgument', `--cluster-store ${url}: etcd://HOST:PORT[,HOST:PORT][/PATH] is needed`);
  const members = authority.split(',');
  for (const member of members)
    if (!/^(\[[0-9a-fA-F:]+\]|[a-zA-Z0-9.-]+):\d{1,5}$/.test(member))
      throw new BoxshipError('invalidArgument', `--cluster-store ${url}: "${member}" is not HOST:PORT`);
  return { members, path };
}

function optionsOf(list: readonly string[]): Map<string, string> {
  const options = new Map<string, string>();
  for (const item of list) {
    const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(item) ?? [];
    if (!optionNames.includes(key))
      throw new BoxshipError(
        'invalidArgument',
        `--cluster-store-opt ${item}: KEY=TEXT with one of ${optionNames.join(', ')} is needed`,
      );
    options.set(key, value);
  }
  return options;
}

function secondsIn(options: ReadonlyMap<string, string>, key: string, fallback: number): number {
  const text = options.get(key);
  if (text === undefined) return fallback;
  const seconds = Number(text);
  if (!Number.isInteger(seconds) || seconds < 1)
    throw new BoxshipError('invalidArgument', `--cluster-store-opt ${key}=${text}: a number of seconds is needed`);
  return seconds;
}

function readPem(path: string | undefined, key: string): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (error) {
    throw new BoxshipError('invalidArgument', `--cluster-store-opt ${key}=${path} cannot be read`, { cause: error });
  }
}

/** @throws invalidArgument when the host has no such interface or address */
export function findUnderlay(route: NetlinkSocket, advertise: string): Underlay {
  const refused = (what: string) => new BoxshipError('invalidArgument', `--cluster-advertise ${advertise}: ${what}`);
  const isOfV4 = ({ address }: { address: string }): boolean => isIPv4(address);
  if (!isIPv4(advertise)) {
    const link = findLink(route, advertise);
    const address = link === undefined ? undefined : listAddresses(route, link.index).find(isOfV4)?.address;
    if (address === undefined) throw refused('this host has no such interface with an IPv4 address');
    return { address, interfaceName: advertise };
  }
  const owner = listAddresses(route).find(({ address }) => address === advertise);
  const link = listLinks(route).find(({ index }) => index === owner?.linkIndex);
  if (link === undefined) throw refused('no interface of this host has this address');
  return { address: advertise, interfaceName: link.name };
}
