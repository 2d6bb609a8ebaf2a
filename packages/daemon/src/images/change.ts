/** `--change` of commit and import: the Dockerfile instructions that alter nothing but the configuration. */
import { BoxshipError } from '@boxship/base';
import type { ImageRunConfig } from '@boxship/oci';

/** @throws invalidArgument naming the instruction */
export function applyChanges(config: ImageRunConfig, changes: readonly string[]): ImageRunConfig {
  let result = config;
  for (const line of changes.flatMap((change) => change.split('\n')).map((text) => text.trim()))
    if (line !== '') result = applyOne(result, line);
  return result;
}

function applyOne(config: ImageRunConfig, line: string): ImageRunConfig {
  const [, instruction = '', rest = ''] = /^(\S+)\s*([\s\S]*)$/.exec(line) ?? [];
  const shell = config.Shell ?? ['/bin/sh', '-c'];
  switch (instruction.toUpperCase()) {
    case 'CMD':
      return { ...config, Cmd: jsonList(rest) ?? [...shell, rest] };
    case 'ENTRYPOINT':
      return { ...config, Entrypoint: jsonList(rest) ?? [...shell, rest] };
    case 'ENV': {
      const set = pairs(rest);
      const others = (config.Env ?? []).filter((entry) => !set.some(([key]) => entry.startsWith(`${key}=`)));
      return { ...config, Env: [...others, ...set.map(([key, value]) => `${key}=${value}`)] };
    }
    case 'LABEL':
      return { ...config, Labels: { ...config.Labels, ...Object.fromEntries(pairs(rest)) } };
    case 'EXPOSE': {
      const ports = words(rest).map((port) => [port.includes('/') ? port : `${port}/tcp`, {}] as const);
      return { ...config, ExposedPorts: { ...config.ExposedPorts, ...Object.fromEntries(ports) } };
    }
    case 'VOLUME': {
      const paths = jsonList(rest) ?? words(rest);
      return { ...config, Volumes: { ...config.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) } };
    }
    case 'USER':
      return { ...config, User: rest };
    case 'WORKDIR':
      return {
        ...config,
        WorkingDir: rest.startsWith('/') ? rest : `${(config.WorkingDir ?? '').replace(/\/$/, '')}/${rest}`,
      };
    case 'STOPSIGNAL':
      return { ...config, StopSignal: rest };
    case 'ONBUILD':
      return { ...config, OnBuild: [...(config.OnBuild ?? []), rest] };
    default:
      throw new BoxshipError('invalidArgument', `${instruction} is not a valid change command`);
  }
}

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

function jsonList(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every((item) => typeof item === 'string') ? list : undefined;
  } catch {
    return undefined; // then it is a shell command that begins with a bracket
  }
}

/** `A=1 B="two words"`, or the old form `A one value`. */
function pairs(text: string): [string, string][] {
  if (!/^[^\s=]+=/.test(text)) {
    const [, key = '', value = ''] = /^(\S+)\s+([\s\S]*)$/.exec(text) ?? [];
    if (key === '') throw new BoxshipError('invalidArgument', `"${text}" is no key and value`);
    return [[key, value]];
  }
  const found: [string, string][] = [];
  for (const match of text.matchAll(/([^\s=]+)=("(?:[^"\\]|\\.)*"|'[^']*'|(?:[^\s\\]|\\.)*)/g)) {
    const [, key = '', value = ''] = match;
    const quote = value[0];
    const body = quote === '"' || quote === "'" ? value.slice(1, -1) : value;
    found.push([key, quote === "'" ? body : body.replace(/\\(.)/g, '$1')]);
  }
  return found;
}
