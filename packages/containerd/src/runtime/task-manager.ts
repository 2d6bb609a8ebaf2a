/**
 * The tasks of all namespaces: creation (bundle, shim, runtime), deletion, and what happens when a shim dies. Verbs that only
 * relay to the shim are in services/tasks.ts.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Any, eventTypes, type Mount, type shimTask, toTimestamp } from '@boxship/api';
import { BoxshipError, failPoint, KeyedMutex, type Logger, messageOf } from '@boxship/base';
import type { EventExchange } from '../events/exchange.ts';
import { type Bundle, type BundleRoots, bundleOf, createBundle, removeBundle } from './bundle.ts';
import { InitHolder } from './init-holder.ts';
import type { SandboxManager } from './sandbox-manager.ts';
import { joinAddress, joinSandbox } from './sandbox-task.ts';
import { isShimGone, type Shim, SingleShim } from './shim.ts';
import { deleteShim } from './shim-binary.ts';
import { groupOf, type ShimManager } from './shim-manager.ts';
import { type Task, taskKey } from './task.ts';

export interface TaskManagerOptions {
  readonly roots: BundleRoots;
  readonly shims: ShimManager;
  readonly sandboxes: SandboxManager;
  readonly events: EventExchange;
  readonly log: Logger;
}

export interface NewTask {
  readonly namespace: string;
  readonly id: string;
  readonly spec: Uint8Array;
  /** Runtime name or path of a shim. */
  readonly runtime: string;
  readonly options: Any | undefined;
  readonly rootfs: Mount[];
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
  /** Directory of an image of CRIU from which the start restores the task; empty: none. */
  readonly checkpoint: string;
  /** Makes such a directory where it is told to, instead. */
  readonly unpackCheckpoint?: ((directory: string) => Promise<void>) | undefined;
  /** In whose shim it is to be; empty: none. */
  readonly sandbox: string;
  /** Of a shim that serves a sandbox; empty: containerd knows it. */
  readonly taskApiAddress: string;
}

// runc waits for the container's own mounts and hooks; its own limit is longer than any healthy start
const createTimeoutMs = 120_000;
const deleteTimeoutMs = 60_000;
const stateTimeoutMs = 10_000;

export class TaskManager {
  readonly #options: TaskManagerOptions;
  readonly #tasks = new Map<string, Task>();
  readonly #mutex = new KeyedMutex();

  constructor(options: TaskManagerOptions) {
    this.#options = options;
  }

  /** @throws notFound */
  get(namespace: string, id: string): Task {
    const task = this.#tasks.get(taskKey(namespace, id));
    if (task === undefined) throw new BoxshipError('notFound', `task ${id} not found`);
    return task;
  }

  list(namespace: string): Task[] {
    return [...this.#tasks.values()].filter((task) => task.bundle.namespace === namespace);
  }

  ofShim(shim: Shim): Task[] {
    return [...this.#tasks.values()].filter((task) => task.shim === shim);
  }

  /** @throws alreadyExists, unknown with the runtime's words */
  async create(request: NewTask): Promise<Task> {
    const { namespace, id } = request;
    using _lease = await this.#mutex.acquire(taskKey(namespace, id));
    if (this.#tasks.has(taskKey(namespace, id))) throw new BoxshipError('alreadyExists', `task ${id}`);
    const bundle = bundleOf(this.#options.roots, namespace, id);
    const binary = this.#options.shims.resolve(request.runtime);
    createBundle(bundle, request.spec);
    await failPoint('start.bundle-written');
    let shim: Shim | undefined;
    try {
      const checkpoint = await prepareCheckpoint(bundle, request);
      shim = await this.#shimFor(binary, bundle, request);
      const { pid } = await shim.call(
        { operation: 'Create', id, timeoutMs: createTimeoutMs, isRepeatable: false },
        (client) =>
          client.create({
            id,
            bundle: bundle.path,
            rootfs: request.rootfs,
            terminal: request.terminal,
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            checkpoint,
            parentCheckpoint: '',
            options: request.options,
          }),
      );
      await failPoint('start.runc-created');
      return this.adopt({ bundle, shim, pid, holder: new InitHolder(bundle.path, pid) });
    } catch (error) {
      if (shim instanceof SingleShim) await this.#discard(shim, id);
      removeBundle(bundle);
      throw describeFailure(error);
    }
  }

  /** Takes a task into the list: a new one, or one found again at start. */
  adopt(task: Task): Task {
    task.holder.holdConsole();
    task.holder.holdStdio('');
    this.#tasks.set(taskKey(task.bundle.namespace, task.bundle.id), task);
    if (task.shim instanceof SingleShim) {
      void task.shim.closed
        .then(() => this.#lost(task))
        .catch((error: unknown) => {
          this.#options.log.error('clean-up after a dead shim failed', { id: task.bundle.id, error: messageOf(error) });
        });
    }
    return task;
  }

  /** The start of a task has restored its processes: only now there is an init. */
  restored(task: Task, pid: number): void {
    task.holder[Symbol.dispose]();
    task.pid = pid;
    task.holder = new InitHolder(task.bundle.path, pid);
    task.holder.holdConsole();
    task.holder.holdStdio('');
    rmSync(restoreDirectory(task.bundle), { recursive: true, force: true });
  }

  /** A successor of its shim serves: it may have found the task restored. */
  async succeeded(task: Task): Promise<void> {
    task.holder.holdConsole();
    if (task.pid > 0) return;
    const { id } = task.bundle;
    const call = { operation: 'State', id, timeoutMs: stateTimeoutMs, isRepeatable: true };
    const { pid } = await task.shim.call(call, (client) => client.state({ id, execId: '' }));
    if (pid > 0) this.restored(task, pid);
  }

  /** @throws notFound, unknown while it runs */
  async delete(namespace: string, id: string): Promise<shimTask.DeleteResponse> {
    const task = this.get(namespace, id);
    const call = { operation: 'Delete', id, timeoutMs: deleteTimeoutMs, isRepeatable: true };
    const answer = await task.shim.call(call, (client) => client.delete({ id, execId: '' }));
    this.#forget(task);
    if (task.shim instanceof SingleShim) await this.#discard(task.shim, id);
    removeBundle(task.bundle);
    return answer;
  }

  /** Removes what is left of a task whose shim cannot be had any more, and tells it, as containerd does. */
  async cleanUp(bundle: Bundle, binary: string): Promise<void> {
    const { namespace, id } = bundle;
    let answer: shimTask.DeleteResponse = { pid: 0, exitStatus: 255, exitedAt: undefined };
    try {
      answer = await deleteShim(this.#options.shims.invocation(binary, namespace, id, bundle.path), bundle.path);
    } catch (error) {
      this.#options.log.warn('shim delete failed: exit status 255 is reported', {
        namespace,
        id,
        error: messageOf(error),
      });
    }
    const exitedAt = answer.exitedAt ?? toTimestamp(BigInt(Date.now()) * 1_000_000n);
    const { pid, exitStatus } = answer;
    const { events } = this.#options;
    const exit = { containerId: id, id, pid, exitStatus, exitedAt };
    events.emit(namespace, '/tasks/exit', 'containerd.events.TaskExit', eventTypes.TaskExit, exit);
    const deleted = { containerId: id, pid, exitStatus, exitedAt, id: '' };
    events.emit(namespace, '/tasks/delete', 'containerd.events.TaskDelete', eventTypes.TaskDelete, deleted);
    removeBundle(bundle);
  }

  async #shimFor(binary: string, bundle: Bundle, request: NewTask): Promise<Shim> {
    const { shims } = this.#options;
    const { namespace, id, sandbox, taskApiAddress } = request;
    if (taskApiAddress !== '') return await joinAddress(bundle, binary, taskApiAddress);
    if (sandbox !== '') return await joinSandbox(this.#options.sandboxes, bundle, sandbox);
    if (shims.isGrouping(binary)) {
      const group = groupOf(request.spec);
      // recovery finds the shim of a bundle by these two files
      writeFileSync(join(bundle.path, 'shim-binary-path'), binary);
      writeFileSync(join(bundle.path, 'group'), group);
      const shim = shims.group(binary, namespace, group);
      await shim.ready();
      return shim;
    }
    const shim = await shims.single(binary, namespace, id, bundle.path, request.options);
    writeFileSync(join(bundle.path, 'shim-binary-path'), binary, { mode: 0o600 });
    return shim;
  }

  async #discard(shim: SingleShim, id: string): Promise<void> {
    try {
      if (!shim.isShared)
        await shim.call({ operation: 'Shutdown', id, timeoutMs: 3_000, isRepeatable: false }, (client) =>
          client.shutdown({ id, now: false }),
        );
    } catch (error) {
      // a shim that closes before it answers has done what was asked
      if (!isShimGone(error)) this.#options.log.warn('shim did not shut down', { id, error: messageOf(error) });
    }
    await shim.close();
  }

  async #lost(task: Task): Promise<void> {
    const { namespace, id } = task.bundle;
    if (this.#tasks.get(taskKey(namespace, id)) !== task) return; // deleted in good order
    this.#options.log.warn('shim disconnected', { namespace, id });
    this.#forget(task);
    // a new task of that name waits until nothing of this one is left
    using _lease = await this.#mutex.acquire(taskKey(namespace, id));
    await this.cleanUp(task.bundle, task.shim.binary);
  }

  #forget(task: Task): void {
    this.#tasks.delete(taskKey(task.bundle.namespace, task.bundle.id));
    task.holder[Symbol.dispose]();
  }
}

const restoreDirectory = (bundle: Bundle): string => join(bundle.workPath, 'restore');

/** The directory that the shim is to restore from; empty: none. */
async function prepareCheckpoint(bundle: Bundle, request: NewTask): Promise<string> {
  if (request.checkpoint !== '' || request.unpackCheckpoint === undefined) return request.checkpoint;
  const directory = restoreDirectory(bundle);
  await request.unpackCheckpoint(directory);
  return directory;
}

function describeFailure(error: unknown): unknown {
  if (!BoxshipError.is(error) || error.kind !== 'unknown' || error.message.startsWith('failed to')) return error;
  return new BoxshipError('unknown', `failed to create shim task: ${error.message}`, { cause: error });
}
