/** Where a daemon listens, as `DOCKER_HOST` and `-H` write it: `unix:///path`, `tcp://host:port`, `http://host:port`. */
import { BoxshipError } from '@boxship/base';

export type EngineAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly basePath: string };

export const defaultEngineHost = 'unix:///var/run/docker.sock';

/** @throws invalidArgument */
export function parseEngineHost(text: string): EngineAddress {
  if (text.startsWith('unix://')) {
    const path = text.slice('unix://'.length);
    if (path === '') throw new BoxshipError('invalidArgument', `unable to parse docker host \`${text}\``);
    return { kind: 'unix', path };
  }
  if (text.startsWith('/')) return { kind: 'unix', path: text };
  const match = /^(tcp|http):\/\/(\[[0-9a-fA-F:]+\]|[^/:]+)(?::(\d+))?(\/.*)?$/.exec(text);
  const [, , host, port = '2375', basePath = ''] = match ?? [];
  if (host === undefined) throw new BoxshipError('invalidArgument', `unable to parse docker host \`${text}\``);
  return { kind: 'tcp', host: host.replace(/^\[|\]$/g, ''), port: Number(port), basePath: basePath.replace(/\/$/, '') };
}
