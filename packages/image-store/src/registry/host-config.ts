/** Builds the {@link HostLookup} from the options of a daemon and the per-registry files on disk. Read anew for each pull. */
import { readdir, readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { BoxshipError } from '@boxship/base';
import { defaultDomain } from '@boxship/oci';
import {
  allCapabilities,
  type HostCapability,
  type HostLookup,
  type HostOptions,
  hostOfDomain,
  insecureMatcher,
  pullCapabilities,
  type RegistryHost,
  type TlsOptions,
} from './hosts.ts';
import { parseToml, type TomlTable, type TomlValue } from './toml.ts';

export function configureHosts(options: HostOptions = {}): HostLookup {
  const isInsecure = insecureMatcher(options.insecureRegistries ?? []);
  const plain = (host: string): RegistryHost => ({
    scheme: options.isPlainHttp ? 'http' : 'https',
    host,
    path: '/v2',
    capabilities: allCapabilities,
    tls: { isVerified: !isInsecure(host) },
    mayFallBackToHttp: isInsecure(host),
  });
  return async (domain) => {
    const origin = plain(hostOfDomain(domain));
    for (const directory of options.certsDirectories ?? []) {
      const configured = await readHostDirectory(directory, domain, origin);
      if (configured !== undefined) return configured;
    }
    if (domain !== defaultDomain) return [origin];
    const mirrors = (options.mirrors ?? []).map((text): RegistryHost => {
      const url = parseUrl(text);
      const base = plain(url.host);
      return {
        ...base,
        scheme: schemeOf(url),
        path: mirrorPath(url),
        capabilities: pullCapabilities,
        mayFallBackToHttp: false,
      };
    });
    return [...mirrors, origin];
  };
}

const mirrorPath = (url: URL): string => `${url.pathname.replace(/\/+$/, '')}/v2`;
const schemeOf = (url: URL): 'http' | 'https' => (url.protocol === 'http:' ? 'http' : 'https');

function parseUrl(text: string): URL {
  const url = URL.parse(text.includes('://') ? text : `https://${text}`);
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    throw new BoxshipError('invalidArgument', `registry host ${text} is no http or https URL`);
  return url;
}

/** containerd's and Docker's per-registry directory; undefined when there is none. */
async function readHostDirectory(
  root: string,
  domain: string,
  origin: RegistryHost,
): Promise<RegistryHost[] | undefined> {
  for (const name of [domain, domain.replace(/:(\d+)$/, '_$1_'), '_default']) {
    const directory = join(root, name);
    let files: string[];
    try {
      files = await readdir(directory);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT' || code === 'ENOTDIR') continue;
      throw error;
    }
    if (files.includes('hosts.toml')) return await fromToml(directory, domain, origin);
    if (name === '_default') return undefined;
    return [{ ...origin, tls: await fromCertificateFiles(directory, files, origin.tls) }];
  }
  return undefined;
}

async function fromCertificateFiles(directory: string, files: readonly string[], tls: TlsOptions): Promise<TlsOptions> {
  const read = (name: string): Promise<string> => readFile(join(directory, name), 'utf8');
  const ca = await Promise.all(files.filter((name) => name.endsWith('.crt')).map(read));
  const certificate = files.find((name) => name.endsWith('.cert'));
  const key = certificate?.replace(/\.cert$/, '.key');
  if (certificate !== undefined && key !== undefined && !files.includes(key))
    throw new BoxshipError('invalidArgument', `missing key ${key} for client certificate ${certificate}`);
  return {
    isVerified: tls.isVerified,
    ...(ca.length === 0 ? {} : { ca }),
    ...(certificate === undefined || key === undefined
      ? {}
      : { client: { cert: await read(certificate), key: await read(key) } }),
  };
}

async function fromToml(directory: string, domain: string, origin: RegistryHost): Promise<RegistryHost[]> {
  const path = join(directory, 'hosts.toml');
  const document = parseToml(await readFile(path, 'utf8'), path);
  const server = stringOf(document['server']);
  const hosts: RegistryHost[] = [];
  for (const [url, value] of Object.entries(tableOf(document['host'])))
    hosts.push(await hostFrom(directory, url, tableOf(value), origin, domain));
  const last = server === undefined ? origin : await hostFrom(directory, server, document, origin, domain);
  const { namespace: _, ...own } = last;
  return [...hosts, { ...own, capabilities: allCapabilities }];
}

async function hostFrom(
  directory: string,
  text: string,
  table: TomlTable,
  origin: RegistryHost,
  domain: string,
): Promise<RegistryHost> {
  const url = parseUrl(text);
  const isOverride = table['override_path'] === true;
  const prefix = url.pathname.replace(/\/+$/, '');
  const ca = await Promise.all(listOf(table['ca']).map((file) => readFile(resolveIn(directory, file), 'utf8')));
  const client = await clientOf(directory, table['client']);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(tableOf(table['header'])))
    headers[name.toLowerCase()] = listOf(value).join(', ');
  const capabilities = listOf(table['capabilities']);
  for (const capability of capabilities)
    if (!allCapabilities.has(capability as HostCapability))
      throw new BoxshipError('invalidArgument', `${directory}: unknown capability "${capability}"`);
  const scheme = schemeOf(url);
  return {
    scheme,
    host: url.host,
    path: isOverride ? prefix : prefix.endsWith('/v2') ? prefix : `${prefix}/v2`,
    capabilities: capabilities.length === 0 ? allCapabilities : new Set(capabilities as HostCapability[]),
    tls: {
      isVerified: table['skip_verify'] !== true,
      ...(ca.length === 0 ? {} : { ca }),
      ...(client === undefined ? {} : { client }),
    },
    mayFallBackToHttp: false,
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(url.host === origin.host ? {} : { namespace: domain }),
  };
}

async function clientOf(directory: string, value: TomlValue | undefined): Promise<TlsOptions['client'] | undefined> {
  if (value === undefined) return undefined;
  const first = Array.isArray(value) && Array.isArray(value[0]) ? value[0] : value;
  const [cert, key = cert] = listOf(first);
  if (cert === undefined || key === undefined) return undefined;
  return {
    cert: await readFile(resolveIn(directory, cert), 'utf8'),
    key: await readFile(resolveIn(directory, key), 'utf8'),
  };
}

const resolveIn = (directory: string, file: string): string => (isAbsolute(file) ? file : join(directory, file));
const stringOf = (value: TomlValue | undefined): string | undefined => (typeof value === 'string' ? value : undefined);
const tableOf = (value: TomlValue | undefined): TomlTable =>
  typeof value === 'object' && !Array.isArray(value) ? value : {};
const listOf = (value: TomlValue | undefined): string[] =>
  typeof value === 'string' ? [value] : Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
