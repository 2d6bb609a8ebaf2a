/**
 * `/etc/resolv.conf` of containers: the host's file without servers that a container cannot reach, or what `--dns…` says. A
 * file that was changed by hand is left alone: its hash is kept beside it, as Docker does.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { overwrite } from './hosts-file.ts';

const stubServer = '127.0.0.53';
const systemdFile = '/run/systemd/resolve/resolv.conf';
const publicServers = { 4: ['8.8.8.8', '8.8.4.4'], 6: ['2001:4860:4860::8888', '2001:4860:4860::8844'] } as const;

export interface DnsOverrides {
  readonly servers?: readonly string[];
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}

/** The host's file; behind systemd-resolved's stub the file with the real servers. */
export function readHostResolvConf(path = '/etc/resolv.conf'): string {
  const text = readIfThere(path);
  const servers = serversOf(text);
  return servers.length === 1 && servers[0] === stubServer ? readIfThere(systemdFile) || text : text;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

function valuesOf(text: string, keyword: string): string[] {
  const lines = text.split('\n').map((line) =>
    line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/),
  );
  return lines.filter(([first]) => first === keyword).map((words) => words.slice(1).join(' '));
}

/** Name servers of a resolv.conf. */
export function serversOf(text: string): string[] {
  return valuesOf(text, 'nameserver');
}

const isLoopback = (server: string): boolean => server.startsWith('127.') || server === '::1';

/** Docker's file for a container with or without IPv6. */
export function buildResolvConf(hostText: string, overrides: DnsOverrides, hasIPv6: boolean): string {
  const { servers = [], search = [], options = [] } = overrides;
  if (servers.length > 0 || search.length > 0 || options.length > 0) {
    const kept = servers.length > 0 ? servers : usableServers(hostText, hasIPv6);
    const domains = search.length > 0 ? search : (valuesOf(hostText, 'search').at(-1)?.split(' ') ?? []);
    const flags = options.length > 0 ? options : (valuesOf(hostText, 'options').at(-1)?.split(' ') ?? []);
    const lines: string[] = [];
    // `--dns-search .` means: no search list
    if (domains.length > 0 && !(domains.length === 1 && domains[0] === '.')) lines.push(`search ${domains.join(' ')}`);
    lines.push(...kept.map((server) => `nameserver ${server}`));
    if (flags.length > 0) lines.push(`options ${flags.join(' ')}`);
    return `${lines.join('\n')}\n`;
  }
  const reachable = hostText
    .split('\n')
    .filter((line) => {
      const [server] = serversOf(line);
      return server === undefined || isUsable(server, hasIPv6);
    })
    .join('\n');
  if (serversOf(reachable).length > 0) return reachable;
  const rest = reachable === '' || reachable.endsWith('\n') ? reachable : `${reachable}\n`;
  return `${rest}${usableServers(hostText, hasIPv6)
    .map((server) => `nameserver ${server}`)
    .join('\n')}\n`;
}

const isUsable = (server: string, hasIPv6: boolean): boolean =>
  !isLoopback(server) && (hasIPv6 || !server.includes(':'));

function usableServers(hostText: string, hasIPv6: boolean): string[] {
  const found = serversOf(hostText).filter((server) => isUsable(server, hasIPv6));
  return found.length > 0 ? found : [...publicServers[4], ...(hasIPv6 ? publicServers[6] : [])];
}

/** Writes in place unless the file was changed by somebody else since the last time. */
export function writeResolvConf(path: string, text: string): void {
  const hashPath = `${path}.hash`;
  const hashOf = (content: string): string => createHash('sha256').update(content).digest('hex');
  const known = readIfThere(hashPath);
  const present = readIfThere(path);
  if (known !== '' && present !== '' && hashOf(present) !== known) return;
  overwrite(path, text);
  overwrite(hashPath, hashOf(text));
}
