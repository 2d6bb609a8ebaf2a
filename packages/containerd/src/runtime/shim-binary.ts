/**
 * The start and delete protocol of shim v2: running a shim's program and reading its answer. Facts: containerd's runtime v2
 * README; argument order and environment as containerd 1.6 gives them.
 */
import { accessSync, constants } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { shimTask } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import { runShimProgram, type ShimProgramResult } from './shim-program.ts';

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
): Promise<ShimProgramResult> {
  const { binary, namespace, id, address, directory, options } = invocation;
  const args = ['-namespace', namespace, '-address', address, '-publish-binary', process.execPath, '-id', id];
  return await runShimProgram({
    binary,
    args: [...args, ...(invocation.isDebug ? ['-debug'] : []), ...action],
    id,
    input: options,
    timeoutMs,
    // `delete` too: containerd's own shim finds the container by the directory above
    directory,
    env: {
      TTRPC_ADDRESS: `${address}.ttrpc`,
      GRPC_ADDRESS: address,
      NAMESPACE: namespace,
      GOMAXPROCS: '2',
      MAX_SHIM_VERSION: '2',
    },
  });
}
