/** A network configuration list of CNI (section 1 of the specification) as a runtime reads it. */
import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { BoxshipError } from '@boxship/base';

export type Json = Readonly<Record<string, unknown>>;

export interface PluginConfiguration extends Json {
  readonly type: string;
}

export interface ConfigurationList {
  readonly cniVersion: string;
  readonly name: string;
  readonly plugins: readonly PluginConfiguration[];
}

const maxBytes = 1 << 20;

/** The text of the file that a network option names. @throws invalidArgument */
export function readConfiguration(path: string): string {
  if (!isAbsolute(path))
    throw new BoxshipError('invalidArgument', `option cni.conf=${path}: an absolute path is needed`);
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length > maxBytes) throw new Error(`more than ${maxBytes} bytes`);
    return text;
  } catch (error) {
    throw new BoxshipError('invalidArgument', `option cni.conf=${path} cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** A list, or a single plugin as a list of one. @throws invalidArgument */
export function parseConfigurationList(text: string): ConfigurationList {
  const bad = (reason: string, cause?: unknown) =>
    new BoxshipError('invalidArgument', `CNI configuration: ${reason}`, { cause });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw bad(`no JSON: ${(error as Error).message}`, error);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw bad('not an object');
  const conf = parsed as Json;
  const { name, cniVersion } = conf;
  if (typeof name !== 'string' || name === '') throw bad('name is missing');
  const plugins = Array.isArray(conf['plugins']) ? (conf['plugins'] as unknown[]) : [conf];
  if (plugins.length === 0) throw bad('plugins is empty');
  return {
    name,
    cniVersion: typeof cniVersion === 'string' ? cniVersion : '0.1.0',
    plugins: plugins.map((plugin, index) => {
      const type = typeof plugin === 'object' && plugin !== null ? (plugin as Json)['type'] : undefined;
      // the type becomes the name of a program
      if (typeof type !== 'string' || !/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(type))
        throw bad(`plugins[${index}].type is no name of a plugin`);
      return { ...(plugin as Json), type };
    }),
  };
}
