/**
 * A host of its own for a test: a network namespace, directories, and processes that all end with it. Engines and peers run
 * in it by `nsenter --net=` (not `ip netns exec`, which hides the cgroups).
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { poll } from '@boxship/base';
import { mountsUnder, unmount } from '@boxship/linux';
import { completePath } from '../../src/host/tools.ts';

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

const environment = { ...process.env, PATH: completePath(process.env['PATH']) };

export class SandboxHost implements AsyncDisposable {
  readonly name = `bxt-${randomBytes(4).toString('hex')}`;
  readonly directory = mkdtempSync(join(tmpdir(), 'boxship-test-'));
  readonly #children: ChildProcess[] = [];
  readonly #cleanups: (() => Promise<void> | void)[] = [];

  constructor() {
    execFileSync('ip', ['netns', 'add', this.name], { env: environment });
    execFileSync('ip', ['-n', this.name, 'link', 'set', 'lo', 'up'], { env: environment });
  }

  path(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  /** Runs a program in the namespace to its end. */
  run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    return new Promise((resolve, reject) => {
      const child = execFile(
        'nsenter',
        [`--net=/run/netns/${this.name}`, program, ...args],
        {
          env: { ...environment, ...options.env },
          timeout: options.timeoutMs ?? 30_000,
          maxBuffer: 256 * 1024 * 1024,
          encoding: 'latin1',
        },
        (error, stdout, stderr) => {
          if (error !== null && typeof error.code !== 'number') {
            reject(
              new Error(`${program} ${args.join(' ')}: ${error.message}; killed ${error.killed}\n${stdout}\n${stderr}`),
            );
          } else resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
        },
      );
      child.stdin?.on('error', () => {}); // the program may end without reading
      child.stdin?.end(options.input ?? '');
    });
  }

  /** As {@link run}, but another exit code than 0 is an error. */
  async must(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(program, args, options);
    if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${stderr || stdout}`);
    return stdout;
  }

  /** Starts a program that goes on; its output is in `<directory>/<name>.log`. */
  start(
    name: string,
    program: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    input: 'ignore' | 'pipe' = 'ignore',
  ): ChildProcess {
    const log = openSync(this.path(`${name}.log`), 'a');
    const child = spawn('nsenter', [`--net=/run/netns/${this.name}`, program, ...args], {
      env: { ...environment, ...env },
      stdio: [input, log, log],
    });
    closeSync(log);
    this.#children.push(child);
    return child;
  }

  logOf(name: string): string {
    return readFileSync(this.path(`${name}.log`), 'utf8');
  }

  /** Waits until something listens on a unix socket. */
  async listening(path: string, timeoutMs = 30_000): Promise<void> {
    const isThere = await poll({ everyMs: 20, timeoutMs }, () => accepts(path));
    if (isThere === undefined) throw new Error(`nothing listens at ${path} after ${timeoutMs} ms`);
  }

  onDispose(cleanup: () => Promise<void> | void): void {
    this.#cleanups.push(cleanup);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const cleanup of this.#cleanups.toReversed()) await cleanup();
    for (const child of this.#children.toReversed()) await endChild(child);
    execFileSync('ip', ['netns', 'delete', this.name], { env: environment });
    // dockerd leaves the bind mount of its network namespace when it ends
    for (const { mountPoint } of mountsUnder(this.directory).toReversed()) unmount(mountPoint, { isLazy: true });
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export async function endChild(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  await ended;
  clearTimeout(timer);
}

export function accepts(path: string): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(undefined));
  });
}

export const ensureDirectory = (path: string): string => {
  mkdirSync(path, { recursive: true });
  return path;
};
