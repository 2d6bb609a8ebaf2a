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

/** Options of a resolv.conf; the last line that has some counts. */
export function optionsOf(text: string): string[] {
  return valuesOf(text, 'options').at(-1)?.split(' ') ?? [];
}

function searchOf(text: string): string[] {
  return valuesOf(text, 'search').at(-1)?.split(' ') ?? [];
}

const isLoopback = (server: string): boolean => server.startsWith('127.') || server === '::1';

/** Docker's file for a container with or without IPv6. */
export function buildResolvConf(hostText: string, overrides: DnsOverrides, hasIPv6: boolean): string {
  const { servers = [], search = [], options = [] } = overrides;
  if (servers.length > 0 || search.length > 0 || options.length > 0) {
    const kept = servers.length > 0 ? servers : usableServers(hostText, hasIPv6);
    return fileOf(
      search.length > 0 ? search : searchOf(hostText),
      kept,
      options.length > 0 ? options : optionsOf(hostText),
    );
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

/**
 * The file of a container with a resolver of its own: it names that resolver alone. The servers it passes on to are told in
 * comments, `host(…)` being those that are asked from the host.
 */
export function buildResolverConf(hostText: string, overrides: DnsOverrides, resolver: string): string {
  const { servers = [], search = [], options = [] } = overrides;
  const flags = options.length > 0 ? [...options] : optionsOf(hostText);
  // one word is the name of a container, to be asked for as it is
  const hasNdots = flags.some((flag) => flag.startsWith('ndots:'));
  if (!hasNdots) flags.push('ndots:0');
  const outer = servers.length > 0 ? servers : serversOf(hostText).map((server) => `host(${server})`);
  const overridden = Object.entries({ nameservers: servers, search, options }).flatMap(([name, list]) =>
    list.length > 0 ? [name] : [],
  );
  const ndotsFrom = !hasNdots ? 'internal' : options.length > 0 ? 'override' : 'host';
  return [
    fileOf(search.length > 0 ? search : searchOf(hostText), [resolver], flags),
    `# ExtServers: [${outer.join(' ')}]`,
    `# Overrides: [${overridden.join(' ')}]`,
    `# Option ndots from: ${ndotsFrom}`,
    '',
  ].join('\n');
}

function fileOf(search: readonly string[], servers: readonly string[], options: readonly string[]): string {
  const lines: string[] = [];
  // `--dns-search .` means: no search list
  if (search.length > 0 && !(search.length === 1 && search[0] === '.')) lines.push(`search ${search.join(' ')}`);
  lines.push(...servers.map((server) => `nameserver ${server}`));
  if (options.length > 0) lines.push(`options ${options.join(' ')}`);
  return `${lines.join('\n')}\n`;
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
  const present = known === '' ? '' : readIfThere(path);
  if (present !== '' && hashOf(present) !== known) return;
  overwrite(path, text);
  overwrite(hashPath, hashOf(text));
}
