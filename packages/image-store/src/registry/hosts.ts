/**
 * Which servers stand for a registry name, in what order, and how to talk to them. The rules are Docker's: mirrors only for
 * docker.io and only for pulling; loopback registries may speak plain HTTP; everything else is HTTPS with verification
 * unless it is listed as insecure. `hosts.toml` files in containerd's layout override all of it.
 */
import { BlockList, isIP } from 'node:net';
import { BoxshipError } from '@boxship/base';
import { defaultDomain } from '@boxship/oci';

export type HostCapability = 'resolve' | 'pull' | 'push';

export interface TlsOptions {
  /** PEM texts of authorities, in addition to the system's. */
  readonly ca?: readonly string[];
  /** PEM texts of the client's certificate and key. */
  readonly client?: { readonly cert: string; readonly key: string };
  readonly isVerified: boolean;
}

/** One server. */
export interface RegistryHost {
  readonly scheme: 'https' | 'http';
  /** Host with port. */
  readonly host: string;
  /** Prefix of all paths: `/v2`. */
  readonly path: string;
  readonly capabilities: ReadonlySet<HostCapability>;
  readonly tls: TlsOptions;
  /** Plain HTTP may be tried when HTTPS cannot be spoken. */
  readonly mayFallBackToHttp: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  /** Set for mirrors that want to know whose content is asked for (query parameter `ns`). */
  readonly namespace?: string;
  readonly dialTimeoutMs?: number;
}

/** The servers of a registry, to be tried in order. */
export type HostLookup = (domain: string) => Promise<readonly RegistryHost[]>;

export interface HostOptions {
  /** Hosts (with port), or networks as CIDR, that may speak HTTP or have certificates of nobody's. */
  readonly insecureRegistries?: readonly string[];
  /** URLs of mirrors of docker.io. */
  readonly mirrors?: readonly string[];
  /** Directories with one directory per registry: `hosts.toml`, or `*.crt`, `*.cert`, `*.key`. */
  readonly certsDirectories?: readonly string[];
  /** Speak plain HTTP to every registry that has no configuration of its own (`ctr --plain-http`). */
  readonly isPlainHttp?: boolean;
}

export const allCapabilities: ReadonlySet<HostCapability> = new Set(['resolve', 'pull', 'push']);
export const pullCapabilities: ReadonlySet<HostCapability> = new Set(['resolve', 'pull']);
const dockerHubHost = 'registry-1.docker.io';

/** The server behind a registry name. */
export const hostOfDomain = (domain: string): string => (domain === defaultDomain ? dockerHubHost : domain);

/** Whether Docker trusts a host without being told: 127.0.0.0/8, ::1, localhost. */
export function isLoopbackHost(host: string): boolean {
  const name = hostName(host);
  return name === 'localhost' || name === '::1' || /^127\.\d+\.\d+\.\d+$/.test(name);
}

/** The name or address without port and brackets. */
export function hostName(host: string): string {
  const bracketed = /^\[([^\]]+)\]/.exec(host);
  if (bracketed?.[1] !== undefined) return bracketed[1];
  return isIP(host) === 6 ? host : host.replace(/:\d+$/, '');
}

/** Says which hosts are insecure. @throws invalidArgument for a network that cannot be read */
export function insecureMatcher(registries: readonly string[]): (host: string) => boolean {
  const names = new Set<string>();
  const networks = new BlockList();
  for (const entry of registries) {
    const [address = '', length] = entry.split('/');
    if (length === undefined) names.add(entry.toLowerCase());
    else {
      const family = isIP(address);
      if (family === 0 || !/^\d{1,3}$/.test(length))
        throw new BoxshipError('invalidArgument', `insecure registry ${entry} is no network`);
      networks.addSubnet(address, Number(length), family === 6 ? 'ipv6' : 'ipv4');
    }
  }
  return (host) => {
    if (isLoopbackHost(host) || names.has(host.toLowerCase()) || names.has(hostName(host).toLowerCase())) return true;
    const family = isIP(hostName(host));
    return family !== 0 && networks.check(hostName(host), family === 6 ? 'ipv6' : 'ipv4');
  };
}
