/** The files of sandboxes: written when one is made, and the names of others kept up to date while they come and go. */

import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { shortId } from '@boxship/base';
import type { Context } from '../context.ts';
import type { Endpoint, Network } from '../controller.ts';
import { changeHostsFile, hostsLine, overwrite, writeHostsFile } from '../files/hosts-file.ts';
import { buildResolvConf, readHostResolvConf, writeResolvConf } from '../files/resolv-conf.ts';
import type { SandboxRecord } from '../model.ts';
import { parseExtraHost } from './validate.ts';

const addressesOf = (endpoint: Endpoint): string[] =>
  [endpoint.ipv4Address, endpoint.ipv6Address].filter((address) => address !== '');

const isUserDefined = (network: Network | undefined): boolean =>
  network !== undefined && network.spec.driver === 'bridge' && network.spec.name !== 'bridge';

/** Writes `/etc/hosts` and `resolv.conf` of a sandbox, and its name into the files of its neighbours. */
export function writeFiles(context: Context, record: SandboxRecord): void {
  const { files, extraHosts, dns, useHostNamespace } = record.spec;
  const endpoints = record.endpoints.map(({ endpoint }) => endpoint);
  const isHost = useHostNamespace === true || endpoints.some((endpoint) => endpoint.networkName === 'host');
  const extra = (extraHosts ?? []).map((entry) => {
    const { name, address } = parseExtraHost(entry);
    return hostsLine(address === 'host-gateway' ? hostGateway(context) : address, name);
  });
  if (files?.hostsPath !== undefined && files.hostsPath !== '') {
    if (isHost) {
      overwrite(files.hostsPath, readFileSync('/etc/hosts', 'utf8'));
      changeHostsFile(files.hostsPath, { add: extra });
    } else {
      const own = endpoints.flatMap((endpoint) => ownLines(record, endpoint));
      const links = endpoints.flatMap((endpoint) => linkLines(context, record, endpoint));
      writeHostsFile(files.hostsPath, [...extra, ...links, ...own, ...neighbourLines(context, record)]);
    }
  }
  if (files?.resolvConfPath !== undefined && files.resolvConfPath !== '') {
    const hostText = readHostResolvConf();
    const hasOverrides = [dns?.servers, dns?.search, dns?.options].some((list) => (list?.length ?? 0) > 0);
    if (isHost && !hasOverrides) overwrite(files.resolvConfPath, hostText);
    else {
      const hasIPv6 = endpoints.some((endpoint) => endpoint.ipv6Address !== '');
      writeResolvConf(files.resolvConfPath, buildResolvConf(hostText, dns ?? {}, hasIPv6));
    }
  }
}

/** `IP<tab>HOSTNAME`, with a domain `IP<tab>FQDN HOSTNAME`. */
export function ownLines(record: SandboxRecord, endpoint: Endpoint): string[] {
  const { hostname, domainname } = record.spec;
  const names = domainname === '' ? hostname : `${hostname}.${domainname} ${hostname}`;
  return addressesOf(endpoint).map((address) => hostsLine(address, names));
}

/** Legacy links of the default bridge: `IP<tab>ALIAS HOSTNAME NAME`. On other networks a link is only one more name. */
function linkLines(context: Context, record: SandboxRecord, endpoint: Endpoint): string[] {
  return (endpoint.spec.links ?? []).flatMap((link) => {
    const [container = '', alias = container] = link.split(':');
    for (const { sandbox, member } of context.state.membersOf(endpoint.networkId)) {
      const { id, containerName, hostname } = sandbox.spec;
      if (sandbox === record || !(containerName === container || id === container || shortId(id) === container))
        continue;
      const names = [...new Set([alias, hostname, containerName])].filter((name) => name !== '').join(' ');
      return addressesOf(member.endpoint).map((address) => hostsLine(address, names));
    }
    return [];
  });
}

/** How the members of a user-defined network are written into each other's files. */
function presenceLines(endpoint: Endpoint): string[] {
  const names = [
    ...endpoint.dnsNames,
    ...endpoint.dnsNames.slice(0, 1).map((name) => `${name}.${endpoint.networkName}`),
  ];
  return addressesOf(endpoint).map((address) => hostsLine(address, names.join(' ')));
}

function neighbourLines(context: Context, record: SandboxRecord): string[] {
  return record.endpoints.flatMap(({ endpoint }) => {
    if (!isUserDefined(context.state.networks.get(endpoint.networkId)?.network)) return [];
    return context.state
      .membersOf(endpoint.networkId)
      .flatMap(({ sandbox, member }) => (sandbox.spec.id === record.spec.id ? [] : presenceLines(member.endpoint)));
  });
}

/** Tells the neighbours of an endpoint that it is there, or (`gone`) that it was. */
export function announce(context: Context, record: SandboxRecord, endpoint: Endpoint, kind: 'here' | 'gone'): void {
  const isUser = isUserDefined(context.state.networks.get(endpoint.networkId)?.network);
  const lines = presenceLines(endpoint);
  for (const { sandbox, member } of context.state.membersOf(endpoint.networkId)) {
    const path = sandbox.spec.files?.hostsPath;
    if (path === undefined || path === '' || sandbox.spec.id === record.spec.id) continue;
    if (isUser) changeHostsFile(path, kind === 'here' ? { add: lines } : { remove: lines });
    // a linked container that was started anew has a new address
    if (kind === 'here') changeHostsFile(path, { add: linkLines(context, sandbox, member.endpoint) });
  }
}

/** The endpoint's own lines and those of its neighbours, in the file of a sandbox that joined or left while it lives. */
export function changeOwnFile(
  context: Context,
  record: SandboxRecord,
  endpoint: Endpoint,
  kind: 'here' | 'gone',
): void {
  const path = record.spec.files?.hostsPath;
  if (path === undefined || path === '') return;
  const neighbours = neighbourLines(context, { ...record, endpoints: [{ endpoint, hostInterface: '' }] });
  const lines = [...ownLines(record, endpoint), ...neighbours];
  changeHostsFile(path, kind === 'here' ? { add: lines } : { remove: lines });
}

/** `host-gateway`: the address of the default bridge, else any address of the host. */
function hostGateway(context: Context): string {
  for (const { network } of context.state.networks.values())
    if (network.spec.name === 'bridge') return network.spec.pools[0]?.gateway ?? '127.0.0.1';
  return (
    Object.values(networkInterfaces())
      .flat()
      .find((entry) => entry?.internal === false)?.address ?? '127.0.0.1'
  );
}
