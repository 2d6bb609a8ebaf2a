/** `containerd.services.tasks.v1.Tasks`: relays to shims. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CallContext,
  type containers,
  type Metric,
  nowTimestamp,
  type ServiceHandlers,
  type shimTask,
  type taskTypes,
  type tasks as wire,
} from '@boxship/api';
import { BoxshipError, checkIdentifier, type Logger, messageOf, parseFilters } from '@boxship/base';
import type { ContentStore } from '@boxship/image-store';
import type { RecordTable } from '../metadata/record-table.ts';
import { imagePathOf, restorePathOf, storeCheckpoint, unpackCheckpoint } from '../runtime/checkpoint.ts';
import type { TaskClient } from '../runtime/shim.ts';
import type { Task } from '../runtime/task.ts';
import type { TaskManager } from '../runtime/task-manager.ts';
import { getContainer } from './containers.ts';
import { fromWireDescriptor, toWireDescriptor } from './convert.ts';

const SIGKILL = 9;
const stateTimeoutMs = 2_000; // containerd's io.containerd.timeout.task.state
/** Calls that only ask the shim or the kernel; a shim that takes longer hangs. */
const callTimeoutMs = 10_000;
/** Calls that run the OCI runtime: to freeze a container may take as long as its disk. */
const freezeTimeoutMs = 35_000;
/** CRIU moves all memory of a container to or from the disk. The shim has a limit of its own, which is shorter. */
const criuTimeoutMs = 620_000;

export function tasksService(options: {
  manager: TaskManager;
  containers: RecordTable<containers.Container>;
  content: (namespace: string) => ContentStore;
  log: Logger;
}): ServiceHandlers<typeof wire.TasksService> {
  const { manager, log } = options;

  /** One call to the shim of the task that the request names. */
  const relay = async <T>(
    request: { containerId: string },
    context: CallContext,
    call: { operation: string; isRepeatable?: boolean; timeoutMs?: number | undefined },
    work: (client: TaskClient, id: string) => Promise<T>,
  ): Promise<T> => {
    const id = request.containerId;
    const task = manager.get(context.namespace, id);
    const timeoutMs =
      'timeoutMs' in call ? call.timeoutMs : Math.min(context.remainingMs ?? callTimeoutMs, callTimeoutMs);
    const limits = { operation: call.operation, id, timeoutMs, isRepeatable: call.isRepeatable ?? false };
    return await task.shim.call(limits, (client) => work(client, id));
  };

  const metricsOf = async (task: Task): Promise<Metric | undefined> => {
    const { id } = task.bundle;
    try {
      const limits = { operation: 'Stats', id, timeoutMs: stateTimeoutMs, isRepeatable: true };
      const { stats } = await task.shim.call(limits, (client) => client.stats({ id }));
      return { timestamp: nowTimestamp(), id, data: stats };
    } catch (error) {
      log.warn('collecting metrics of a task failed', { id, error: messageOf(error) });
      return undefined;
    }
  };

  return {
    async create(request, context) {
      const { namespace } = context;
      const container = getContainer(options.containers, namespace, request.containerId);
      const { checkpoint } = request;
      const task = await manager.create({
        namespace,
        id: container.id,
        spec: container.spec?.value ?? Buffer.alloc(0),
        runtime: request.runtimePath !== '' ? request.runtimePath : (container.runtime?.name ?? ''),
        options: request.options ?? container.runtime?.options,
        rootfs: request.rootfs,
        stdin: request.stdin,
        stdout: request.stdout,
        stderr: request.stderr,
        terminal: request.terminal,
        checkpoint: restorePathOf(request.options),
        unpackCheckpoint:
          checkpoint === undefined
            ? undefined
            : (directory) => {
                const descriptor = fromWireDescriptor(checkpoint);
                return unpackCheckpoint(options.content(namespace), descriptor, directory, context.signal);
              },
        sandbox: container.sandbox,
        taskApiAddress: request.taskApiAddress,
      });
      return { containerId: container.id, pid: task.pid };
    },
    async start(request, context) {
      const { execId } = request;
      const call = { operation: 'Start', timeoutMs: 120_000 };
      const task = manager.get(context.namespace, request.containerId);
      if (task.pid === 0 && execId === '') call.timeoutMs = criuTimeoutMs;
      const answer = await relay(request, context, call, (client, id) => client.start({ id, execId }));
      if (execId !== '') task.holder.holdStdio(execId);
      else if (task.pid === 0) manager.restored(task, answer.pid);
      return answer;
    },
    async delete(request, context) {
      const { pid, exitStatus, exitedAt } = await manager.delete(context.namespace, request.containerId);
      return { id: request.containerId, pid, exitStatus, exitedAt };
    },
    async deleteProcess(request, context) {
      const { execId } = request;
      if (execId === '')
        throw new BoxshipError('invalidArgument', 'exec id must not be empty: Delete removes the task itself');
      const call = { operation: 'Delete', isRepeatable: true };
      const { holder } = manager.get(context.namespace, request.containerId);
      const answer = await relay(request, context, call, (client, id) => client.delete({ id, execId }));
      holder.releaseStdio(execId);
      return { id: execId, ...answer };
    },
    async get(request, context) {
      const { execId } = request;
      const call = { operation: 'State', isRepeatable: true };
      return { process: toProcess(await relay(request, context, call, (client, id) => client.state({ id, execId }))) };
    },
    async list(_request, context) {
      const states = await Promise.all(
        manager.list(context.namespace).map(async (task) => {
          const { id } = task.bundle;
          try {
            const limits = { operation: 'State', id, timeoutMs: stateTimeoutMs, isRepeatable: true };
            return [toProcess(await task.shim.call(limits, (client) => client.state({ id, execId: '' })))];
          } catch (error) {
            log.warn('a task is left out of the list', { id, error: messageOf(error) });
            return [];
          }
        }),
      );
      return { tasks: states.flat() };
    },
    async kill(request, context) {
      const { execId, signal, all } = request;
      const call = { operation: 'Kill', isRepeatable: true, timeoutMs: 10_000 };
      try {
        return await relay(request, context, call, (client, id) => client.kill({ id, execId, signal, all }));
      } catch (error) {
        // a shim that hangs must not keep a container from being killed
        const isStuck = BoxshipError.is(error, 'deadlineExceeded') && signal === SIGKILL && execId === '';
        if (isStuck && manager.get(context.namespace, request.containerId).holder.signal(SIGKILL)) return {};
        throw error;
      }
    },
    async exec(request, context) {
      const { execId, terminal, stdin, stdout, stderr, spec } = request;
      if (execId === '') throw new BoxshipError('invalidArgument', 'exec id cannot be empty');
      checkExecId(execId);
      await relay(request, context, { operation: 'Exec' }, (client, id) =>
        client.exec({ id, execId, terminal, stdin, stdout, stderr, spec }),
      );
      return {};
    },
    async resizePty(request, context) {
      const { execId, width, height } = request;
      const call = { operation: 'ResizePty', isRepeatable: true };
      return await relay(request, context, call, (client, id) => client.resizePty({ id, execId, width, height }));
    },
    async closeIo(request, context) {
      const { execId, stdin } = request;
      const call = { operation: 'CloseIO', isRepeatable: true };
      if (stdin) manager.get(context.namespace, request.containerId).holder.closeStdin(execId);
      return await relay(request, context, call, (client, id) => client.closeIo({ id, execId, stdin }));
    },
    async pause(request, context) {
      return await relay(request, context, { operation: 'Pause', timeoutMs: freezeTimeoutMs }, (client, id) =>
        client.pause({ id }),
      );
    },
    async resume(request, context) {
      return await relay(request, context, { operation: 'Resume', timeoutMs: freezeTimeoutMs }, (client, id) =>
        client.resume({ id }),
      );
    },
    async listPids(request, context) {
      return await relay(request, context, { operation: 'Pids', isRepeatable: true }, (client, id) =>
        client.pids({ id }),
      );
    },
    async checkpoint(request, context) {
      const { namespace, lease, signal } = context;
      const container = getContainer(options.containers, namespace, request.containerId);
      const { bundle } = manager.get(namespace, container.id);
      const wanted = imagePathOf(request.options);
      const path = wanted === '' ? mkdtempSync(join(bundle.workPath, 'checkpoint-')) : wanted;
      const call = { operation: 'Checkpoint', timeoutMs: criuTimeoutMs };
      try {
        await relay(request, context, call, (client, id) => client.checkpoint({ id, path, options: request.options }));
        if (wanted !== '') return { descriptors: [] }; // it is where the caller wants it, and nowhere else
        const stored = await storeCheckpoint(options.content(namespace), path, container.spec, { lease, signal });
        return { descriptors: stored.map(toWireDescriptor) };
      } finally {
        if (wanted === '') rmSync(path, { recursive: true, force: true });
      }
    },
    async update(request, context) {
      const { resources, annotations } = request;
      const call = { operation: 'Update', isRepeatable: true, timeoutMs: freezeTimeoutMs };
      return await relay(request, context, call, (client, id) => client.update({ id, resources, annotations }));
    },
    async metrics({ filters }, context) {
      const matches = parseFilters(filters);
      const wanted = manager
        .list(context.namespace)
        .filter((task) =>
          matches(([field]) =>
            field === 'id' ? task.bundle.id : field === 'namespace' ? task.bundle.namespace : undefined,
          ),
        );
      const metrics = await Promise.all(wanted.map(metricsOf));
      return { metrics: metrics.filter((metric) => metric !== undefined) };
    },
    async wait(request, context) {
      const { execId } = request;
      const task = manager.get(context.namespace, request.containerId);
      const limits = {
        operation: 'Wait',
        id: request.containerId,
        timeoutMs: context.remainingMs,
        signal: context.signal,
        isRepeatable: true,
      };
      return await task.shim.call(limits, (client) => client.wait({ id: request.containerId, execId }));
    },
  };
}

function toProcess(state: shimTask.StateResponse): taskTypes.Process {
  return {
    // containerd leaves container_id empty and names an exec by `id`
    containerId: '',
    id: state.execId === '' ? state.id : state.execId,
    pid: state.pid,
    status: state.status,
    stdin: state.stdin,
    stdout: state.stdout,
    stderr: state.stderr,
    terminal: state.terminal,
    exitStatus: state.exitStatus,
    exitedAt: state.exitedAt,
  };
}

function checkExecId(id: string): void {
  try {
    checkIdentifier(id);
  } catch (cause) {
    throw new BoxshipError('invalidArgument', `invalid exec id ${id}: ${messageOf(cause)}`, { cause });
  }
}
