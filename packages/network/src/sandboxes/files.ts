/** The files of sandboxes: written when one is made, changed when it joins and leaves networks and when linked containers move. */

import { readFileSync } from 'node:fs';
import { shortId } from '@boxship/base';
import type { Context } from '../context.ts';
import type { Endpoint } from '../controller.ts';
import { isNamed } from '../dns/names.ts';
import { resolverAddress } from '../dns/server.ts';
import { parseExtraHost } from '../files/extra-host.ts';
import { changeHostsFile, hostsLine, overwrite, writeHostsFile } from '../files/hosts-file.ts';
import { buildResolvConf, buildResolverConf, readHostResolvConf, writeResolvConf } from '../files/resolv-conf.ts';
import type { SandboxRecord } from '../model.ts';

const addressesOf = (endpoint: Endpoint): string[] =>
  [endpoint.ipv4Address, endpoint.ipv6Address].filter((address) => address !== '');

/** The path of a file that the sandbox has; undefined for one that it was not given. */
const pathOf = (record: SandboxRecord, file: 'hostsPath' | 'resolvConfPath'): string | undefined =>
  record.spec.files?.[file] || undefined;

/** Writes `/etc/hosts` and `resolv.conf` of a sandbox. */
export function writeFiles(context: Context, record: SandboxRecord): void {
  const { extraHosts, useHostNamespace } = record.spec;
  const endpoints = record.endpoints.map(({ endpoint }) => endpoint);
  const isHost = useHostNamespace === true || endpoints.some((endpoint) => endpoint.networkName === 'host');
  const hostsPath = pathOf(record, 'hostsPath');
  if (hostsPath !== undefined) {
    const extra = (extraHosts ?? []).map((entry) => {
      const { name, address } = parseExtraHost(entry);
      return hostsLine(address === 'host-gateway' ? context.hostGateway() : address, name);
    });
    if (isHost) {
      overwrite(hostsPath, readFileSync('/etc/hosts', 'utf8'));
      changeHostsFile(hostsPath, { add: extra });
    } else {
      const own = endpoints.flatMap((endpoint) => ownLines(record, endpoint));
      const links = endpoints.flatMap((endpoint) => linkLines(context, record, endpoint));
      writeHostsFile(hostsPath, [...extra, ...links, ...own]);
    }
  }
  writeResolverFile(record, isHost);
}

/** `resolv.conf` alone: also when the sandbox gets a resolver while it lives. */
export function writeResolverFile(record: SandboxRecord, isHost = false): void {
  const path = pathOf(record, 'resolvConfPath');
  if (path === undefined) return;
  const dns = record.spec.dns ?? {};
  const hostText = readHostResolvConf();
  const hasOverrides = [dns.servers, dns.search, dns.options].some((list) => (list?.length ?? 0) > 0);
  const hasIPv6 = record.endpoints.some(({ endpoint }) => endpoint.ipv6Address !== '');
  if (isHost && !hasOverrides) overwrite(path, hostText);
  else if (record.hasResolver === true) writeResolvConf(path, buildResolverConf(hostText, dns, resolverAddress));
  else writeResolvConf(path, buildResolvConf(hostText, dns, hasIPv6));
}

/** What a `connect` that was cut off had still to write; changes nothing in files that are whole. */
export function completeFiles(record: SandboxRecord): void {
  if (record.hasResolver === true) writeResolverFile(record);
  for (const { endpoint } of record.endpoints) changeOwnFile(record, endpoint, 'here');
}

/** `IP<tab>HOSTNAME`, with a domain `IP<tab>FQDN HOSTNAME`. */
function ownLines(record: SandboxRecord, endpoint: Endpoint): string[] {
  const { hostname, domainname } = record.spec;
  const names = domainname === '' ? hostname : `${hostname}.${domainname} ${hostname}`;
  return addressesOf(endpoint).map((address) => hostsLine(address, names));
}

/** Legacy links of the default bridge: `IP<tab>ALIAS HOSTNAME NAME`. On other networks a link is a name in the DNS. */
function linkLines(context: Context, record: SandboxRecord, endpoint: Endpoint): string[] {
  return context.state
    .membersOf(endpoint.networkId)
    .flatMap(({ sandbox, member }) => linesTo(sandbox, member.endpoint, record, endpoint));
}

/** The lines about one container, in the file of another that is linked to it. */
function linesTo(child: SandboxRecord, at: Endpoint, parent: SandboxRecord, of: Endpoint): string[] {
  const { id, containerName, hostname } = child.spec;
  if (isNamed(of) || id === parent.spec.id) return [];
  return (of.spec.links ?? []).flatMap((link) => {
    const [container = '', alias = container] = link.split(':');
    if (containerName !== container && id !== container && shortId(id) !== container) return [];
    const names = [...new Set([alias, hostname, containerName])].filter((name) => name !== '').join(' ');
    return addressesOf(at).map((address) => hostsLine(address, names));
  });
}

/** Tells those who are linked to an endpoint that it is there, or that it was: a container started anew has a new address. */
export function tellLinked(context: Context, child: SandboxRecord, endpoint: Endpoint, kind: 'here' | 'gone'): void {
  if (isNamed(endpoint)) return;
  for (const { sandbox, member } of context.state.membersOf(endpoint.networkId)) {
    const path = pathOf(sandbox, 'hostsPath');
    const lines = path === undefined ? [] : linesTo(child, endpoint, sandbox, member.endpoint);
    if (path !== undefined && lines.length > 0)
      changeHostsFile(path, kind === 'here' ? { add: lines } : { remove: lines });
  }
}

/** The endpoint's own lines in the file of a sandbox that joined or left while it lives. */
export function changeOwnFile(record: SandboxRecord, endpoint: Endpoint, kind: 'here' | 'gone'): void {
  const path = pathOf(record, 'hostsPath');
  if (path === undefined) return;
  const lines = ownLines(record, endpoint);
  changeHostsFile(path, kind === 'here' ? { add: lines } : { remove: lines });
}
