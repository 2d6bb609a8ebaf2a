/** What a container asks of the network as a whole. */
import type { SandboxSpec } from '@boxship/network';
import { containerFiles } from '../containers/files.ts';
import type { ContainerRecord } from '../containers/model.ts';
import { portRequests } from '../containers/ports.ts';
import { containerOfMode } from '../containers/spec/namespaces.ts';
import type { Parts } from '../parts.ts';

/** False: the container joins another's namespace, or needs no network service for what it asks. */
export function usesSandbox(parts: Parts, record: ContainerRecord): boolean {
  const mode = record.hostConfig.NetworkMode;
  if (containerOfMode(mode) !== undefined) return false;
  return parts.network !== undefined || (mode !== 'none' && mode !== 'host');
}

export function sandboxSpec(parts: Parts, record: ContainerRecord): SandboxSpec {
  const { config, hostConfig } = record;
  const files = containerFiles(parts.config, record.id);
  const or = (own: readonly string[] | null | undefined, fallback: readonly string[]) =>
    own === null || own === undefined || own.length === 0 ? fallback : own;
  const isHost = hostConfig.NetworkMode === 'host';
  return {
    id: record.id,
    containerName: record.name,
    hostname: config.Hostname,
    domainname: config.Domainname,
    files: { hostsPath: files.hosts, resolvConfPath: files.resolvConf },
    dns: {
      servers: or(hostConfig.Dns, parts.config.dns),
      search: or(hostConfig.DnsSearch, parts.config.dnsSearch),
      options: or(hostConfig.DnsOptions, parts.config.dnsOptions),
    },
    extraHosts: hostConfig.ExtraHosts ?? [],
    endpoints: Object.values(record.endpoints),
    ports: isHost || hostConfig.NetworkMode === 'none' ? [] : portRequests(config, hostConfig),
    ...(isHost ? { useHostNamespace: true } : {}),
  };
}
