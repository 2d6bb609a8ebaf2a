/**
 * Where a plugin of Docker's listens: a socket NAME.sock, or a file NAME.spec (a URL) or NAME.json in the directories that
 * Docker looks at.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BoxshipError } from '@boxship/base';

export type PluginAddress = { readonly socketPath: string } | { readonly host: string; readonly port: number };

export const pluginDirectories: readonly string[] = [
  '/run/docker/plugins',
  '/etc/docker/plugins',
  '/usr/lib/docker/plugins',
];

/** undefined: there is no such plugin. @throws invalidArgument for a file that names no address we can dial */
export function findPlugin(name: string, directories: readonly string[]): PluginAddress | undefined {
  // the name becomes that of a file
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) return undefined;
  for (const directory of directories) {
    for (const socketPath of [join(directory, `${name}.sock`), join(directory, name, `${name}.sock`)])
      if (existsSync(socketPath)) return { socketPath };
    const spec = join(directory, `${name}.spec`);
    if (existsSync(spec)) return parseUrl(readFileSync(spec, 'utf8').trim(), spec);
    const json = join(directory, `${name}.json`);
    if (existsSync(json)) return parseJson(readFileSync(json, 'utf8'), json);
  }
  return undefined;
}

function parseJson(text: string, path: string): PluginAddress {
  let parsed: { Addr?: unknown; TLSConfig?: unknown };
  try {
    parsed = JSON.parse(text) as typeof parsed;
  } catch (error) {
    throw new BoxshipError('invalidArgument', `${path} is no JSON: ${(error as Error).message}`, { cause: error });
  }
  if (parsed.TLSConfig !== undefined && parsed.TLSConfig !== null)
    throw new BoxshipError('unimplemented', `${path}: plugins with TLS are not supported`);
  return parseUrl(typeof parsed.Addr === 'string' ? parsed.Addr : '', path);
}

function parseUrl(text: string, path: string): PluginAddress {
  if (text.startsWith('unix://')) return { socketPath: text.slice('unix://'.length) };
  const url = URL.canParse(text) ? new URL(text.replace(/^tcp:/, 'http:')) : undefined;
  if (url === undefined || url.protocol !== 'http:' || url.port === '')
    throw new BoxshipError(
      'invalidArgument',
      `${path}: "${text}" is no address of the form unix://PATH or tcp://HOST:PORT`,
    );
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(url.port) };
}
