/** Dockerfile instructions that `import --change` and `commit --change` apply to an image's configuration. */
import { BoxshipError } from '@boxship/base';
import type { ImageRunConfig } from '@boxship/oci';

type Mutable = { -readonly [Key in keyof ImageRunConfig]: ImageRunConfig[Key] };

/** @throws invalidArgument naming the instruction */
export function applyChanges(config: ImageRunConfig, changes: readonly string[]): ImageRunConfig {
  const next: Mutable = { ...config };
  for (const line of changes.flatMap((change) => change.split('\n')).map((text) => text.trim())) {
    if (line === '') continue;
    const [, instruction = '', rest = ''] = /^(\S+)\s*([\s\S]*)$/.exec(line) ?? [];
    apply(next, instruction.toUpperCase(), rest.trim());
  }
  return next;
}

function apply(config: Mutable, instruction: string, text: string): void {
  if (text === '') throw new BoxshipError('invalidArgument', `${instruction} requires at least one argument`);
  switch (instruction) {
    case 'CMD':
      config.Cmd = command(text);
      return;
    case 'ENTRYPOINT':
      config.Entrypoint = command(text);
      return;
    case 'ENV':
      config.Env = Object.entries({ ...toMap(config.Env ?? []), ...pairs(text) }).map(
        ([key, value]) => `${key}=${value}`,
      );
      return;
    case 'LABEL':
      config.Labels = { ...config.Labels, ...pairs(text) };
      return;
    case 'EXPOSE': {
      const ports = text.split(/\s+/).map((port) => (port.includes('/') ? port : `${port}/tcp`));
      config.ExposedPorts = { ...config.ExposedPorts, ...Object.fromEntries(ports.map((port) => [port, {}])) };
      return;
    }
    case 'VOLUME': {
      const paths = text.startsWith('[') ? jsonList(text) : text.split(/\s+/);
      config.Volumes = { ...config.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) };
      return;
    }
    case 'USER':
      config.User = text;
      return;
    case 'WORKDIR':
      config.WorkingDir = text.startsWith('/') ? text : `${config.WorkingDir ?? ''}/${text}`;
      return;
    case 'STOPSIGNAL':
      config.StopSignal = text;
      return;
    case 'ONBUILD':
      config.OnBuild = [...(config.OnBuild ?? []), text];
      return;
    default:
      throw new BoxshipError('invalidArgument', `${instruction} is not a valid change command`);
  }
}

const command = (text: string): string[] => (text.startsWith('[') ? jsonList(text) : ['/bin/sh', '-c', text]);

function jsonList(text: string): string[] {
  try {
    return (JSON.parse(text) as unknown[]).map(String);
  } catch (cause) {
    throw new BoxshipError('invalidArgument', `expected a JSON array of strings: ${text}`, { cause });
  }
}

const toMap = (env: readonly string[]): Record<string, string> =>
  Object.fromEntries(env.map((item) => item.split(/=(.*)/s).slice(0, 2) as [string, string]));

/** `k=v k2="v 2"`, or the old form `k v`. */
function pairs(text: string): Record<string, string> {
  const found = [...text.matchAll(/([^\s=]+)=("(?:[^"\\]|\\.)*"|'[^']*'|(?:[^\s\\]|\\.)*)/g)];
  if (found.length === 0) {
    const [key = '', value = ''] = text.split(/\s+(.*)/s);
    return { [key]: value };
  }
  const unquote = (value: string) => value.replace(/^(["'])([\s\S]*)\1$/, '$2').replace(/\\(.)/g, '$1');
  return Object.fromEntries(found.map((match) => [match[1] ?? '', unquote(match[2] ?? '')]));
}
