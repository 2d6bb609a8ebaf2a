/** Running a shim's program for a short action, with its whole input and output. */
import { spawn } from 'node:child_process';
import { basename, delimiter, dirname } from 'node:path';
import { withDeadline } from '@boxship/base';

export interface ShimProgramOptions {
  readonly binary: string;
  readonly args: readonly string[];
  /** What the program is run for, in errors. */
  readonly id: string;
  readonly input: Uint8Array | undefined;
  readonly timeoutMs: number;
  readonly directory?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface ShimProgramResult {
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly code: number;
}

/** @throws deadlineExceeded; what the exit code means is the caller's to say */
export async function runShimProgram(options: ShimProgramOptions): Promise<ShimProgramResult> {
  const { binary, args, id, timeoutMs } = options;
  const operation = `${basename(binary)} ${args.at(-1)}`;
  return await withDeadline({ component: 'containerd', operation, id, timeoutMs }, async (signal) => {
    const child = spawn(binary, args, {
      cwd: options.directory,
      // a process group of its own: signals meant for containerd must not reach shims
      detached: true,
      // the interpreter of a shim that is a script is ours
      env: {
        ...process.env,
        PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`,
        ...options.env,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    signal.addEventListener('abort', () => child.kill('SIGKILL'), { once: true });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes));
    child.stdin.on('error', () => {}); // EPIPE: the shim did not want its input
    child.stdin.end(options.input);
    const code = await new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      // 'close' waits until nobody holds the pipes any more, which is part of the contract
      child.on('close', (status, name) => resolve(status ?? (name === null ? 1 : 128)));
    });
    return { stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString('utf8'), code };
  });
}
