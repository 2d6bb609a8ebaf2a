/** Plays containerd's part for one shim: directories, `start`, the connection, the event server, clean-up. */
import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { decodeAny, eventsTtrpc, shimTask, typeUrls } from '@boxship/api';
import { poll } from '@boxship/base';
import { makeFifo, unmountAll } from '@boxship/linux';
import { makeBundle, makeRootfs, type TestSpec, testPath, testSpec } from '@boxship/runc-wrapper/testsuite/bundle';
import { type ServiceClient, TtrpcClient, TtrpcServer } from '@boxship/ttrpc';
import { isFull } from '../../tooling/full.ts';

export type TaskClient = ServiceClient<typeof shimTask.TaskService>;

export interface ReceivedEvent {
  readonly topic: string;
  readonly namespace: string;
  readonly value: Record<string, unknown>;
}

const isBundleWanted = process.env['BOXSHIP_TEST_BUILT'] === '1';
const source = join(import.meta.dirname, '../src');

/**
 * An executable that runs a program of this package: from its sources, in full runs as it is installed; so, too, in the virtual
 * machine, where it would take long to start otherwise.
 */
export function makeExecutable(directory: string, name: string, entry: string): string {
  const path = join(directory, name);
  const bundle = join(source, '../dist', entry === 'main.ts' ? 'shim.cjs' : 'logger.cjs');
  const program = isFull || isBundleWanted ? bundle : `--conditions=@boxship/source ${join(source, entry)}`;
  const command = `exec ${process.execPath} --no-warnings ${program} "$@"`;
  writeFileSync(path, `#!/bin/sh\n${command}\n`);
  chmodSync(path, 0o755);
  return path;
}

export const namespace = 'test';

export class Harness implements AsyncDisposable {
  readonly root = mkdtempSync('/tmp/bxs-');
  readonly rootfs: string;
  readonly bundles: string;
  readonly events: ReceivedEvent[] = [];
  readonly executable: string;
  readonly environment: NodeJS.ProcessEnv;
  client!: TtrpcClient;
  task!: TaskClient;
  shimPid = 0;
  readonly #logFds: number[] = [];
  #eventServer = new TtrpcServer({ component: 'test' });
  readonly #startDirectory: string;
  readonly #startId: string;

  static async start(
    options: { readonly environment?: NodeJS.ProcessEnv; readonly group?: string } = {},
  ): Promise<Harness> {
    const harness = new Harness(options.group ?? 'g', options.environment ?? {});
    await harness.listenForEvents();
    await harness.startShim();
    return harness;
  }

  private constructor(group: string, environment: NodeJS.ProcessEnv) {
    this.rootfs = makeRootfs(join(this.root, 'fs'));
    this.bundles = join(this.root, 'tasks', namespace);
    this.executable = makeExecutable(this.root, 'containerd-shim-boxship-v2', 'main.ts');
    this.#startId = group;
    this.#startDirectory = join(this.bundles, `.group-${group}`);
    mkdirSync(this.#startDirectory, { recursive: true });
    this.#holdLog(this.#startDirectory);
    this.environment = {
      PATH: process.env['PATH'],
      TTRPC_ADDRESS: join(this.root, 'events.sock'),
      BOXSHIP_SHIM_SOCKET_DIR: join(this.root, 's'),
      ...environment,
    };
  }

  #holdLog(directory: string): void {
    const path = join(directory, 'log');
    makeFifo(path);
    this.#logFds.push(openSync(path, constants.O_RDWR | constants.O_NONBLOCK));
  }

  async listenForEvents(): Promise<void> {
    this.#eventServer = new TtrpcServer({ component: 'test' });
    this.#eventServer.register(eventsTtrpc.EventsService, {
      forward: async ({ envelope }) => {
        const decoded = envelope?.event === undefined ? undefined : decodeAny(envelope.event);
        if (envelope !== undefined && decoded?.kind === 'message')
          this.events.push({
            topic: envelope.topic,
            namespace: envelope.namespace,
            value: decoded.value as Record<string, unknown>,
          });
        return {};
      },
    });
    await this.#eventServer.listen({ path: join(this.root, 'events.sock') });
  }

  /** Runs the action `start`, as containerd does, and connects. */
  async startShim(): Promise<void> {
    const address = await this.run(['-id', this.#startId, 'start'], this.#startDirectory);
    this.client = await TtrpcClient.connect(address);
    this.task = this.client.service(shimTask.TaskService);
    this.shimPid = (await this.task.connect({ id: '' })).shimPid;
  }

  /** containerd goes away, for the shim's events. */
  async stopEvents(): Promise<void> {
    await this.#eventServer[Symbol.asyncDispose]();
  }

  async run(args: readonly string[], cwd: string): Promise<string> {
    return (await this.runRaw(args, cwd)).toString();
  }

  /** Runs an action; gives its standard output. */
  runRaw(args: readonly string[], cwd: string): Promise<Buffer> {
    const flags = ['-namespace', namespace, '-address', join(this.root, 'containerd.sock')];
    return new Promise((resolve, reject) => {
      const child = execFile(
        this.executable,
        [...flags, ...args],
        { cwd, env: this.environment, timeout: 30_000, encoding: 'buffer' },
        (error, stdout, stderr) => (error ? reject(new Error(`${error.message}: ${stderr}`)) : resolve(stdout)),
      );
      child.stdin?.end();
    });
  }

  /** What the shim has logged since the last call. */
  log(): string {
    const buffer = Buffer.alloc(1 << 16);
    try {
      const fd = this.#logFds[0] ?? -1;
      return buffer.toString('utf8', 0, readSync(fd, buffer));
    } catch {
      return '';
    }
  }

  bundle(id: string, args: readonly string[], options: Partial<TestSpec> = {}): string {
    const spec = testSpec({ rootfs: this.rootfs, cgroupsPath: `/boxship-test/${id}`, ...options, args });
    return makeBundle(join(this.bundles, id), spec);
  }

  newId(prefix = 'c'): string {
    return `${prefix}${randomBytes(4).toString('hex')}`;
  }

  /** Bundle and Create. */
  async create(
    args: readonly string[],
    options: CreateTestOptions = {},
  ): Promise<{ id: string; bundle: string; pid: number }> {
    const id = options.id ?? this.newId();
    const bundle = this.bundle(id, args, { isTerminal: options.terminal ?? false, ...options.spec });
    const { pid } = await this.task.create({
      ...emptyCreate,
      id,
      bundle,
      terminal: options.terminal ?? false,
      stdin: options.stdin ?? '',
      stdout: options.stdout ?? '',
      stderr: options.stderr ?? '',
      checkpoint: options.checkpoint ?? '',
      options: { typeUrl: 'containerd.runc.v1.Options', value: this.options(options.binary) },
    });
    return { id, bundle, pid };
  }

  options(binary = 'runc'): Buffer {
    const path = Buffer.from(join(this.root, 'runc'));
    const name = Buffer.from(binary);
    return Buffer.concat([Buffer.from([0x32, name.length]), name, Buffer.from([0x3a, path.length]), path]);
  }

  async run1(args: readonly string[], options: CreateTestOptions = {}) {
    const created = await this.create(args, options);
    await this.task.start({ id: created.id, execId: '' });
    return created;
  }

  async wait(id: string, execId = ''): Promise<number> {
    return (await this.task.wait({ id, execId }, { timeoutMs: 15_000 })).exitStatus;
  }

  async exec(id: string, args: readonly string[], options: Partial<shimTask.ExecProcessRequest> = {}): Promise<string> {
    const execId = this.newId('e');
    const process = { user: { uid: 0, gid: 0 }, args, env: [testPath, 'TERM=xterm'], cwd: '/' };
    await this.task.exec({
      id,
      execId,
      terminal: false,
      stdin: '',
      stdout: '',
      stderr: '',
      spec: { typeUrl: typeUrls.process, value: Buffer.from(JSON.stringify(process)) },
      ...options,
    });
    return execId;
  }

  /** The logging URI of the daemon. */
  logUri(path: string, extra: Record<string, string> = {}): string {
    const query = new URLSearchParams({ driver: 'json-file', path, ...extra });
    return `binary:///usr/bin/boxship-logger?${query}`;
  }

  /** What the living keepers of this group hold, by name. */
  keepers(): string[][] {
    return this.#keepers().map(({ names }) => names);
  }

  keeperPids(): number[] {
    return this.#keepers().map(({ pid }) => pid);
  }

  #keepers(): { pid: number; names: string[] }[] {
    return readdirSync('/proc').flatMap((pid) => {
      try {
        const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
        const list = variables.find((each) => each.startsWith(`BOXSHIP_KEEPER=${this.root}`))?.split('=')[1];
        if (list === undefined) return [];
        return [{ pid: Number(pid), names: readFileSync(list, 'utf8').trim().split('\n') }];
      } catch {
        return []; // no process, or one that has ended since
      }
    });
  }

  topics(id: string): string[] {
    return this.events.filter((e) => e.value['containerId'] === id).map((e) => e.topic);
  }

  async until(what: () => boolean, timeoutMs = 8000): Promise<void> {
    const isTrue = await poll({ everyMs: 10, timeoutMs }, () => what() || undefined);
    if (isTrue !== true) throw new Error(`not true in time: ${what.toString()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client[Symbol.asyncDispose]();
    kill(this.shimPid);
    // a killed shim leaves them for its successor, and there will be none
    for (const pid of this.keeperPids()) kill(pid);
    const state = join(this.root, 'runc', namespace);
    for (const id of existsSync(state) ? readdirSync(state) : [])
      execFileSync('runc', ['--root', state, 'delete', '--force', id]);
    await this.#eventServer[Symbol.asyncDispose]();
    for (const fd of this.#logFds) closeSync(fd);
    unmountAll(this.root);
    rmSync(this.root, { recursive: true, force: true });
  }
}

export interface CreateTestOptions {
  readonly id?: string;
  readonly terminal?: boolean;
  readonly stdin?: string;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly binary?: string;
  /** Directory of the image to restore. */
  readonly checkpoint?: string;
  readonly spec?: Partial<TestSpec>;
}

const emptyCreate = { rootfs: [], checkpoint: '', parentCheckpoint: '' };

export function kill(pid: number): void {
  try {
    if (pid > 0) process.kill(pid, 'SIGKILL');
  } catch {
    // gone
  }
}

/** The records of a json-file log. */
export function readJsonLog(path: string): { readonly log: string; readonly stream: string; readonly time: string }[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { log: string; stream: string; time: string });
}
