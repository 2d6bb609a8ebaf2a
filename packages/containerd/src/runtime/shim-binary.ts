/**
 * The start and delete protocol of shim v2: running a shim's program and reading its answer. Facts: containerd's runtime v2
 * README; argument order and environment as containerd 1.6 gives them.
 */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { basename, delimiter, dirname, isAbsolute, join } from 'node:path';
import { shimTask } from '@boxship/api';
import { BoxshipError, withDeadline } from '@boxship/base';

export interface ShimInvocation {
  readonly binary: string;
  readonly namespace: string;
  /** Container id, or the name of a group. */
  readonly id: string;
  /** Working directory: the bundle, or the directory of the group. */
  readonly directory: string;
  /** Our gRPC socket; the ttrpc socket is beside it. */
  readonly address: string;
  /** google.protobuf.Any of the runtime options; empty: none. */
  readonly options: Uint8Array;
  readonly isDebug: boolean;
}

/** `io.containerd.runc.v2` → the program that implements it. */
export function resolveRuntime(runtime: string, known: ReadonlyMap<string, string>): string {
  const configured = known.get(runtime);
  if (configured !== undefined) return configured;
  if (isAbsolute(runtime)) return checkExecutable(runtime, runtime);
  const parts = runtime.split('.');
  if (parts.length < 2)
    throw new BoxshipError(
      'invalidArgument',
      `invalid runtime name ${runtime}, correct runtime name should be either format like \`io.containerd.runc.v2\` or a full path to the binary`,
    );
  const name = `containerd-shim-${parts.slice(-2).join('-')}`;
  const directories = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/local/sbin',
    '/usr/sbin',
    '/sbin',
    '/usr/bin',
  ];
  for (const directory of directories) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not in this directory: the next one is tried
    }
  }
  throw new BoxshipError(
    'unknown',
    `failed to start shim: failed to resolve runtime path: runtime "${runtime}" binary not installed "${name}": file does not exist`,
  );
}

function checkExecutable(path: string, runtime: string): string {
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch (cause) {
    throw new BoxshipError('invalidArgument', `invalid custom binary path ${runtime}: not an executable file`, {
      cause,
    });
  }
}

/** Runs `start`; the answer is the address of a listening shim. */
export async function startShim(invocation: ShimInvocation): Promise<string> {
  const { stdout, stderr, code } = await run(invocation, ['start'], 20_000);
  const text = `${stdout.toString('utf8')}${stderr}`.trim();
  if (code !== 0) throw new BoxshipError('unknown', `failed to start shim: start failed: ${text}: exit status ${code}`);
  return parseAnswer(stdout.toString('utf8').trim());
}

/** Plain address, or the JSON of containerd 1.7 and later. */
function parseAnswer(text: string): string {
  if (!text.startsWith('{')) {
    if (text === '') throw new BoxshipError('unknown', 'failed to start shim: it printed no address');
    return text;
  }
  const { address, protocol } = JSON.parse(text) as { address?: string; protocol?: string };
  if (address === undefined || (protocol ?? 'ttrpc') !== 'ttrpc')
    throw new BoxshipError('unimplemented', `shim answers with protocol ${protocol ?? '?'}: only ttrpc is supported`);
  return address;
}

/** Runs `delete`: cleans up after a shim that has died. */
export async function deleteShim(invocation: ShimInvocation, bundle: string): Promise<shimTask.DeleteResponse> {
  const { stdout, stderr, code } = await run(invocation, ['-bundle', bundle, 'delete'], 5_000);
  if (code !== 0) throw new BoxshipError('unknown', `shim delete failed: ${stderr.trim()}: exit status ${code}`);
  return shimTask.DeleteResponse.decode(stdout);
}

async function run(
  invocation: ShimInvocation,
  action: readonly string[],
  timeoutMs: number,
): Promise<{ stdout: Buffer; stderr: string; code: number }> {
  const { binary, namespace, id, address } = invocation;
  const args = ['-namespace', namespace, '-address', address, '-publish-binary', process.execPath, '-id', id];
  if (invocation.isDebug) args.push('-debug');
  const operation = `${basename(binary)} ${action.at(-1)}`;
  return await withDeadline({ component: 'containerd', operation, id, timeoutMs }, async (signal) => {
    const child = spawn(binary, [...args, ...action], {
      // `delete` too: containerd's own shim finds the container by the directory above
      cwd: invocation.directory,
      // a process group of its own: signals meant for containerd must not reach shims
      detached: true,
      env: {
        ...process.env,
        // the interpreter of a shim that is a script is ours
        PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`,
        TTRPC_ADDRESS: `${address}.ttrpc`,
        GRPC_ADDRESS: address,
        NAMESPACE: namespace,
        GOMAXPROCS: '2',
        MAX_SHIM_VERSION: '2',
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    signal.addEventListener('abort', () => child.kill('SIGKILL'), { once: true });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes));
    child.stdin.on('error', () => {}); // EPIPE: the shim did not want its options
    child.stdin.end(invocation.options);
    const code = await new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      // 'close' waits until nobody holds the pipes any more, which is part of the contract
      child.on('close', (status, name) => resolve(status ?? (name === null ? 1 : 128)));
    });
    return { stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString('utf8'), code };
  });
}
