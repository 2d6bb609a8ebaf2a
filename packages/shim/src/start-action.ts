/**
 * The action `start`: prints the address of the group's shim, starting one unless it answers already. Neither stream may
 * carry anything else, and the shim that stays must hold neither: containerd reads both until their end.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { bootstrap } from '@boxship/api';
import { BoxshipError, poll, withDeadline } from '@boxship/base';
import { grpcMark, identifyGroup, socketDirectory, socketPath } from './address.ts';
import type { ShimArguments } from './arguments.ts';
import { encodeAnswer, readParams, wantedProtocol } from './bootstrap.ts';

const SERVE_MS = 20_000;
const CONNECT_MS = 2000;

/** @param input standard input */
export async function start(args: ShimArguments, input: Uint8Array): Promise<string | Uint8Array> {
  const directory = process.cwd();
  const { groupId } = identifyGroup(directory, args.id);
  const params = readParams(args.id, input);
  const environment = environmentOf(params);
  wantedProtocol(environment); // a word that is none is refused before anything is started
  const sockets = socketDirectory(environment);
  mkdirSync(sockets, { recursive: true, mode: 0o700 });
  const path = socketPath(sockets, args.address, args.namespace, groupId);
  const isDebug = args.isDebug || (params !== undefined && params.logLevel <= bootstrap.LogLevel.DEBUG);
  if (!(await answers(path))) await serveInBackground({ ...args, isDebug }, path, environment);
  const address = `unix://${path}`;
  writeAddress(directory, address);
  const protocol = existsSync(grpcMark(path)) ? 'grpc' : 'ttrpc';
  return encodeAnswer({ address, protocol, params, environment });
}

/** What newer containerds say on standard input, older ones said in the environment. */
function environmentOf(params: bootstrap.BootstrapParams | undefined): NodeJS.ProcessEnv {
  if (params === undefined) return process.env;
  const { containerdTtrpcAddress, socketDir } = params;
  return {
    ...process.env,
    ...(containerdTtrpcAddress !== '' && { TTRPC_ADDRESS: containerdTtrpcAddress }),
    ...(socketDir !== '' && { BOXSHIP_SHIM_SOCKET_DIR: process.env['BOXSHIP_SHIM_SOCKET_DIR'] ?? socketDir }),
  };
}

async function answers(path: string): Promise<boolean> {
  return await withDeadline({ component: 'shim', operation: 'connect', id: path, timeoutMs: CONNECT_MS }, () => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = connect({ path });
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    return promise.finally(() => socket.destroy());
  });
}

async function serveInBackground(args: ShimArguments, path: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const flags = ['-namespace', args.namespace, '-id', args.id, '-address', args.address];
  if (args.isDebug) flags.push('-debug');
  const script = process.argv[1] ?? '';
  const child = spawn(process.execPath, [...process.execArgv, script, ...flags, 'serve'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    detached: true,
    // one pool thread waits in epoll; the others are for file system work
    env: { ...environment, UV_THREADPOOL_SIZE: '6' },
  });
  const said = await withDeadline(
    { component: 'shim', operation: 'start of the serving process', id: args.id, timeoutMs: SERVE_MS },
    () => firstLine(child.stdio[3] as NodeJS.ReadableStream),
  );
  if (said === 'ready') {
    raiseOomScore(child.pid ?? 0);
    child.unref();
    return;
  }
  // another start of the group was a moment faster: its shim holds the lock and will answer
  const isThere =
    said === 'busy' &&
    (await poll({ everyMs: 20, timeoutMs: SERVE_MS }, async () => (await answers(path)) || undefined));
  if (isThere !== true)
    throw new BoxshipError('unavailable', `shim did not start: ${said === '' ? 'it ended without a word' : said}`);
}

function firstLine(stream: NodeJS.ReadableStream): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  stream.on('end', () => resolve(text.trim()));
  return promise;
}

/** The kernel is to prefer the shim to containerd when it must kill one; the containers have scores of their own. */
function raiseOomScore(pid: number): void {
  try {
    const score = Number(readFileSync(`/proc/${process.ppid}/oom_score_adj`, 'latin1'));
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(Math.min(1000, score + 1)));
  } catch {
    // no right to change it: the score stays as inherited
  }
}

function writeAddress(directory: string, address: string): void {
  const temporary = join(directory, '.address');
  writeFileSync(temporary, address, { mode: 0o600 });
  renameSync(temporary, join(directory, 'address'));
}
