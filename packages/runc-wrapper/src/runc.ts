/**
 * The command line of an OCI runtime, one method per verb. Works with every runtime that takes runc's arguments (crun,
 * youki). Nothing is cached and nothing is locked here: the caller runs start, delete, pause and the like one at a time per
 * container.
 *
 * Life: `create` (init waits, {@link CreateOptions.pidFile} names it) → `start` → it ends by itself or by `kill` →
 * `delete`. `exec` adds processes between start and end.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BoxshipError } from '@boxship/base';
import type { RuntimeResources, RuntimeSpec } from '@boxship/oci';
import { invoke, invokeToEnd } from './command.ts';
import { streamEvents } from './event-stream.ts';
import type { CallOptions, Invocation, Stdio } from './invocation.ts';
import type {
  CheckpointOptions,
  ContainerState,
  CreateOptions,
  CriuOptions,
  ExecOptions,
  ExecToEndOptions,
  ProcessTable,
  RestoreOptions,
  RunOptions,
  RuntimeEvent,
  RuntimeFeatures,
  RuntimeVersion,
} from './verbs.ts';

export interface RuncOptions {
  /** Name or path; default `runc`. */
  readonly binary?: string;
  /** Directory of the runtime's state; default the runtime's own. */
  readonly root?: string;
  /** Where log files of single commands live while they run. */
  readonly logDirectory: string;
  readonly isSystemdCgroup?: boolean;
  readonly criuPath?: string;
}

type Extra = Pick<Invocation, 'stdio' | 'isOutputWanted' | 'workingDirectory' | 'environment'>;

const SECOND = 1000;
/** Create, start and delete run hooks of the user; the rest only asks the kernel. */
const HOOKS_MS = 120 * SECOND;
const PLAIN_MS = 15 * SECOND;
const FREEZE_MS = 30 * SECOND;
const CRIU_MS = 600 * SECOND;

export class Runc {
  readonly binary: string;
  readonly root: string | undefined;
  readonly #logDirectory: string;
  readonly #globalArguments: readonly string[];

  constructor(options: RuncOptions) {
    this.binary = options.binary ?? 'runc';
    this.root = options.root;
    this.#logDirectory = options.logDirectory;
    this.#globalArguments = [
      ...(options.root === undefined ? [] : ['--root', options.root]),
      ...(options.isSystemdCgroup === true ? ['--systemd-cgroup'] : []),
      ...(options.criuPath === undefined ? [] : ['--criu', options.criuPath]),
    ];
  }

  /** Makes the container and leaves its init waiting; gives the init's pid on the host. */
  async create(id: string, options: CreateOptions): Promise<number> {
    await this.#run('create', id, [...creationFlags(options), id], HOOKS_MS, options, inBundle(options));
    return readPid(options.pidFile);
  }

  /** Create and start in one; the container goes on by itself. Gives the init's pid on the host. */
  async runDetached(id: string, options: CreateOptions): Promise<number> {
    await this.#run('run', id, ['--detach', ...creationFlags(options), id], HOOKS_MS, options, inBundle(options));
    return readPid(options.pidFile);
  }

  /**
   * Create, start, wait, delete in one; gives the exit code. Without a deadline unless one is given, and for containers
   * without a terminal: the runtime passes signals and descriptors through.
   */
  async run(id: string, options: RunOptions): Promise<number> {
    return await invokeToEnd(
      this.#invocation('run', id, [...creationFlags(options), id], undefined, options, inBundle(options)),
    );
  }

  /** Lets the init run the user's program. A program that cannot be executed may show only as its exit. */
  async start(id: string, options: CallOptions = {}): Promise<void> {
    await this.#run('start', id, [id], HOOKS_MS, options);
  }

  /** Starts a further process, detached; gives its pid on the host. */
  async exec(id: string, options: ExecOptions): Promise<number> {
    const args = ['--process', options.processFile, '--detach', '--pid-file', options.pidFile];
    if (options.consoleSocket !== undefined) args.push('--console-socket', options.consoleSocket);
    const { stdio } = options;
    await this.#run('exec', id, [...args, ...extraFlags(stdio), id], HOOKS_MS, options, { ...(stdio && { stdio }) });
    return readPid(options.pidFile);
  }

  /** Runs a further process to its end; gives its exit code. Without a deadline unless one is given. */
  async execToEnd(id: string, options: ExecToEndOptions): Promise<number> {
    const { processFile, stdio } = options;
    const args = ['--process', processFile, ...extraFlags(stdio), id];
    return await invokeToEnd(this.#invocation('exec', id, args, undefined, options, { ...(stdio && { stdio }) }));
  }

  /** Sends a signal to the init, or to all processes. @throws failedPrecondition when nothing runs, notFound */
  async kill(
    id: string,
    signal: number | string,
    options: CallOptions & { readonly isAll?: boolean } = {},
  ): Promise<void> {
    await this.#run('kill', id, [...(options.isAll === true ? ['--all'] : []), id, String(signal)], PLAIN_MS, options);
  }

  /** Removes a stopped container; with `isForced` kills it first, and an unknown id is no error. */
  async delete(id: string, options: CallOptions & { readonly isForced?: boolean } = {}): Promise<void> {
    await this.#run('delete', id, [...(options.isForced === true ? ['--force'] : []), id], HOOKS_MS, options);
  }

  /** @throws notFound */
  async state(id: string, options: CallOptions = {}): Promise<ContainerState> {
    return JSON.parse(await this.#query('state', id, [id], options)) as ContainerState;
  }

  async list(options: CallOptions = {}): Promise<ContainerState[]> {
    const rows = JSON.parse(await this.#query('list', undefined, ['--format', 'json'], options)) as
      | ContainerState[]
      | null;
    return rows ?? [];
  }

  /** Pids on the host of all processes. */
  async ps(id: string, options: CallOptions = {}): Promise<number[]> {
    return (JSON.parse(await this.#query('ps', id, ['--format', 'json', id], options)) as number[] | null) ?? [];
  }

  /** What ps(1) shows of the container's processes, with its own arguments (`['-o', 'pid,comm']`). */
  async top(id: string, psArguments: readonly string[] = [], options: CallOptions = {}): Promise<ProcessTable> {
    const text = await this.#query('ps', id, ['--format', 'table', id, ...psArguments], options);
    const [header = '', ...rows] = text.split('\n').filter((line) => line.trim() !== '');
    const headers = header.trim().split(/\s+/);
    return { headers, processes: rows.map((row) => splitRow(row, headers.length)) };
  }

  async pause(id: string, options: CallOptions = {}): Promise<void> {
    await this.#run('pause', id, [id], FREEZE_MS, options);
  }

  async resume(id: string, options: CallOptions = {}): Promise<void> {
    await this.#run('resume', id, [id], FREEZE_MS, options);
  }

  /** Changes limits; absent fields stay as they are. */
  async update(id: string, resources: RuntimeResources, options: CallOptions = {}): Promise<void> {
    // a file: crun opens /dev/stdin anew for `-`, which a socket, as Node makes its pipes, does not allow
    const file = join(this.#logDirectory, `.resources-${randomBytes(6).toString('hex')}.json`);
    writeFileSync(file, JSON.stringify(resources), { mode: 0o600 });
    try {
      await this.#run('update', id, ['--resources', file, id], PLAIN_MS, options);
    } finally {
      rmSync(file, { force: true });
    }
  }

  /** One reading of the counters. */
  async stats(id: string, options: CallOptions = {}): Promise<RuntimeEvent> {
    return JSON.parse(await this.#query('events', id, ['--stats', id], options)) as RuntimeEvent;
  }

  /** Counters every `intervalSeconds`, and kills for want of memory as they happen, until the container has ended. */
  events(
    id: string,
    options: Omit<CallOptions, 'timeoutMs'> & { readonly intervalSeconds?: number } = {},
  ): AsyncGenerator<RuntimeEvent, void, undefined> {
    const args = [`--interval=${options.intervalSeconds ?? 5}s`, id];
    return streamEvents(this.#invocation('events', id, args, undefined, options, { isOutputWanted: true }));
  }

  /** Writes a specification to start from into the bundle as `config.json`, and gives it. @throws when there is one */
  async spec(bundle: string, options: CallOptions & { readonly isRootless?: boolean } = {}): Promise<RuntimeSpec> {
    const args = ['--bundle', bundle, ...(options.isRootless === true ? ['--rootless'] : [])];
    await this.#query('spec', undefined, args, options);
    return JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')) as RuntimeSpec;
  }

  /** Writes an image of the processes with CRIU. */
  async checkpoint(id: string, options: CheckpointOptions): Promise<void> {
    const args = criuFlags(options);
    if (options.isLeaveRunning === true) args.push('--leave-running');
    await this.#run('checkpoint', id, [...args, id], CRIU_MS, options, {
      isOutputWanted: true,
      ...criuConfig(options),
    });
  }

  /** Makes a running container from such an image; its descriptors 0 to 2 are CRIU's too, for what it is to inherit. */
  async restore(id: string, options: RestoreOptions): Promise<number> {
    const { isNoNewKeyring: _, ...creation } = options; // restore knows no such flag
    const args = [...criuFlags(options), '--detach', '--no-subreaper', ...creationFlags(creation), id];
    await this.#run('restore', id, args, CRIU_MS, options, { ...inBundle(options), ...criuConfig(options) });
    return readPid(options.pidFile);
  }

  /** What the runtime can do; `unimplemented` for one that is too old to say. */
  async features(options: CallOptions = {}): Promise<RuntimeFeatures> {
    let text: string;
    try {
      text = await this.#query('features', undefined, [], options);
    } catch (error) {
      if (BoxshipError.is(error, 'deadlineExceeded') || BoxshipError.is(error, 'notFound')) throw error;
      throw new BoxshipError('unimplemented', `${this.binary} has no features command`, { cause: error });
    }
    return JSON.parse(text) as RuntimeFeatures;
  }

  async version(options: CallOptions = {}): Promise<RuntimeVersion> {
    const text = await this.#query('--version', undefined, [], options);
    const field = (name: string) => new RegExp(`^${name}:? (.*)$`, 'm').exec(text)?.[1] ?? '';
    const [, name = '', version = ''] = /^(\S+)(?: version)? (\S+)/.exec(text) ?? [];
    return { name, version, commit: field('commit'), spec: field('spec') };
  }

  async #query(verb: string, id: string | undefined, args: readonly string[], options: CallOptions): Promise<string> {
    return await this.#run(verb, id, args, PLAIN_MS, options, { isOutputWanted: true });
  }

  async #run(
    verb: string,
    id: string | undefined,
    args: readonly string[],
    defaultTimeoutMs: number,
    options: CallOptions,
    extra: Extra = {},
  ): Promise<string> {
    return await invoke(this.#invocation(verb, id, args, defaultTimeoutMs, options, extra));
  }

  #invocation(
    verb: string,
    id: string | undefined,
    args: readonly string[],
    defaultTimeoutMs: number | undefined,
    options: CallOptions,
    extra: Extra,
  ): Invocation {
    if (id !== undefined && !/^[\w][\w+.-]*$/.test(id))
      // a leading dash would be read as a flag
      throw new BoxshipError('invalidArgument', `container id ${JSON.stringify(id)} is not one a runtime accepts`);
    return {
      // not the caller's directory, which may have been removed under it
      workingDirectory: this.#logDirectory,
      ...extra,
      ...(options.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
      ...(options.signal !== undefined && { signal: options.signal }),
      ...(options.onSpawn !== undefined && { onSpawn: options.onSpawn }),
      ...(id !== undefined && { id }),
      binary: this.binary,
      globalArguments: this.#globalArguments,
      logDirectory: this.#logDirectory,
      verb,
      arguments: args,
      defaultTimeoutMs,
    };
  }
}

type Creation = Pick<CreateOptions, 'bundle' | 'consoleSocket' | 'isNoPivot' | 'isNoNewKeyring' | 'stdio'> & {
  readonly pidFile?: string;
};

function creationFlags(options: Creation): string[] {
  const args = ['--bundle', options.bundle];
  if (options.pidFile !== undefined) args.push('--pid-file', options.pidFile);
  if (options.consoleSocket !== undefined) args.push('--console-socket', options.consoleSocket);
  if (options.isNoPivot === true) args.push('--no-pivot');
  if (options.isNoNewKeyring === true) args.push('--no-new-keyring');
  return [...args, ...extraFlags(options.stdio)];
}

const extraFlags = (stdio: Stdio | undefined): string[] =>
  stdio?.extra === undefined || stdio.extra.length === 0 ? [] : ['--preserve-fds', String(stdio.extra.length)];

/** Relative paths of the specification are the bundle's. */
const inBundle = ({ bundle, stdio }: Creation): Extra => ({ workingDirectory: bundle, ...(stdio && { stdio }) });

function criuFlags(options: CriuOptions): string[] {
  const args = ['--image-path', options.imagePath];
  if (options.workPath !== undefined) args.push('--work-path', options.workPath);
  if (options.isTcpEstablished === true) args.push('--tcp-established');
  if (options.isExtUnixSk === true) args.push('--ext-unix-sk');
  if (options.isShellJob === true) args.push('--shell-job');
  if (options.isFileLocks === true) args.push('--file-locks');
  for (const namespace of options.emptyNamespaces ?? []) args.push('--empty-ns', namespace);
  return args;
}

const criuConfig = ({ criuConfigPath }: CriuOptions): Extra =>
  criuConfigPath === undefined ? {} : { environment: { CRIU_CONFIG_FILE: criuConfigPath } };

/** The last column may hold spaces. */
function splitRow(row: string, columns: number): string[] {
  const words = row.trim().split(/\s+/);
  return [...words.slice(0, columns - 1), words.slice(columns - 1).join(' ')];
}

function readPid(path: string): number {
  const pid = Number(readFileSync(path, 'latin1').trim());
  if (Number.isInteger(pid) && pid > 0) return pid;
  throw new BoxshipError('unknown', `the runtime wrote no pid into ${path}`);
}
