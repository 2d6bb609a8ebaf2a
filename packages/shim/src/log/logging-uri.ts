/**
 * The logging URI of containerd as the daemon writes it for our logger:
 * `binary:///any/dir/boxship-logger?driver=json-file&path=/…/x-json.log&max-size=10485760&max-file=3&attach=/…/attach.sock`.
 * A foreign shim starts that program with the pairs as arguments; ours knows the name and does the same in process.
 */
import { basename } from 'node:path';
import { BoxshipError } from '@boxship/base';

export const LOGGER_NAME = 'boxship-logger';

export type LogDriver = 'json-file' | 'local' | 'none';

export interface LoggerOptions {
  readonly driver: LogDriver;
  /** The log file; absent for driver none. */
  readonly path: string | undefined;
  readonly maxSizeBytes: number | undefined;
  readonly maxFiles: number;
  readonly isCompressed: boolean;
  readonly attrs: Readonly<Record<string, string>>;
  /** Socket that gives clients the output from then on. */
  readonly attachPath: string | undefined;
}

/** Reads the pairs of the URI's query, or of the program's arguments. @throws invalidArgument naming the pair */
export function parseLoggerOptions(pairs: ReadonlyMap<string, string>): LoggerOptions {
  const driver = pairs.get('driver') ?? 'json-file';
  if (driver !== 'json-file' && driver !== 'local' && driver !== 'none')
    throw new BoxshipError('invalidArgument', `logging URI: driver=${driver}: want json-file, local or none`);
  const path = pairs.get('path') ?? '';
  if (driver !== 'none' && !path.startsWith('/'))
    throw new BoxshipError('invalidArgument', `logging URI: path=${path}: want an absolute path of a log file`);
  const attach = pairs.get('attach') ?? '';
  if (attach !== '' && !attach.startsWith('/'))
    throw new BoxshipError('invalidArgument', `logging URI: attach=${attach}: want an absolute path of a socket`);
  // Docker's defaults: json-file grows without end, local keeps five files of 20 MB
  const isLocal = driver === 'local';
  const maxSize = integer(pairs, 'max-size');
  return {
    driver,
    path: path === '' ? undefined : path,
    maxSizeBytes: maxSize === undefined ? (isLocal ? 20_000_000 : undefined) : maxSize <= 0 ? undefined : maxSize,
    maxFiles: Math.max(1, integer(pairs, 'max-file') ?? (isLocal ? 5 : 1)),
    isCompressed: (pairs.get('compress') ?? String(isLocal)) === 'true',
    attrs: attributes(pairs.get('labels')),
    attachPath: attach === '' ? undefined : attach,
  };
}

function integer(pairs: ReadonlyMap<string, string>, name: string): number | undefined {
  const text = pairs.get(name);
  if (text === undefined || text === '') return undefined;
  if (!/^-?\d+$/.test(text))
    throw new BoxshipError('invalidArgument', `logging URI: ${name}=${text}: want a whole number`);
  return Number(text);
}

function attributes(text: string | undefined): Record<string, string> {
  if (text === undefined || text === '') return {};
  try {
    const value = JSON.parse(text) as Record<string, unknown>;
    return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, String(v)]));
  } catch (error) {
    throw new BoxshipError('invalidArgument', `logging URI: labels=${text}: want a JSON object`, { cause: error });
  }
}

/** Where a process' output goes, read from the request's stdout (containerd's LogURI rules). */
export type OutputTarget =
  | { readonly kind: 'none' }
  | { readonly kind: 'fifo' }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'logger'; readonly options: LoggerOptions }
  | { readonly kind: 'program'; readonly path: string; readonly arguments: readonly string[] };

export function parseOutputTarget(stdout: string, stderr: string): OutputTarget {
  if (stdout === '' && stderr === '') return { kind: 'none' };
  const scheme = /^([a-z]+):\/\//.exec(stdout)?.[1];
  if (scheme === undefined || scheme === 'fifo') return { kind: 'fifo' };
  const uri = new URL(stdout);
  const path = decodeURIComponent(uri.pathname);
  if (scheme === 'file') return { kind: 'file', path };
  if (scheme !== 'binary')
    throw new BoxshipError('unimplemented', `unknown STDIO scheme ${scheme} in ${stdout}: want fifo, file or binary`);
  if (basename(path) === LOGGER_NAME || basename(path) === 'logger.cjs')
    return { kind: 'logger', options: parseLoggerOptions(new Map(uri.searchParams)) };
  return { kind: 'program', path, arguments: [...uri.searchParams].flat() };
}
