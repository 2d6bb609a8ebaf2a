/**
 * The wire: the seventeen methods of `containerd.task.v2.Task` (v3 has the same) on one side, the verbs on the other.
 * Nothing behind this file knows requests from their transport.
 */
import { goZeroTime, type shimTask, taskTypes, toTimestamp } from '@boxship/api';
import type { ServiceHandlers } from '@boxship/ttrpc';
import { checkpointTask } from './checkpoint.ts';
import { closeInput, pauseTask, resizeTerminal, resumeTask, updateTask } from './control.ts';
import { createTask } from './create.ts';
import { deleteProcess } from './delete.ts';
import { addExec } from './exec.ts';
import type { Group } from './group.ts';
import { killProcess } from './kill.ts';
import type { ManagedProcess } from './process.ts';
import type { ExitRecord } from './record.ts';
import { startProcess } from './start.ts';
import { taskPids, taskStats } from './stats.ts';

const { Status } = taskTypes;
const statuses = {
  created: Status.CREATED,
  running: Status.RUNNING,
  paused: Status.PAUSED,
  stopped: Status.STOPPED,
  deleted: Status.STOPPED,
} as const;

const version = '2';

export interface TaskServiceOptions {
  readonly group: Group;
  /** Called by Shutdown when no container is left. */
  readonly onShutdown: () => void;
}

const exitFields = (exit: ExitRecord) => ({
  exitStatus: exit.exitStatus,
  exitedAt: toTimestamp(BigInt(exit.exitedAt)),
});

export function taskService({ group, onShutdown }: TaskServiceOptions): ServiceHandlers<typeof shimTask.TaskService> {
  return {
    create: async (request) => ({ pid: (await createTask(group, request)).init.pid }),
    start: async ({ id, execId }) => ({ pid: await startProcess(group, id, execId) }),
    state: async ({ id, execId }) => {
      const container = group.container(id);
      return stateOf(id, container.bundle, container.process(execId), container.init);
    },
    delete: async ({ id, execId }) => {
      const exit = await deleteProcess(group, id, execId);
      return { pid: exit.pid, ...exitFields(exit) };
    },
    wait: async ({ id, execId }) => exitFields(await group.container(id).process(execId).exited),
    kill: async (request) => done(await killProcess(group, request)),
    exec: async (request) => done(await addExec(group, request)),
    pids: async ({ id }) => ({ processes: taskPids(group, id) }),
    stats: async ({ id }) => ({ stats: taskStats(group, id) }),
    pause: async ({ id }) => done(await pauseTask(group, id)),
    resume: async ({ id }) => done(await resumeTask(group, id)),
    update: async (request) => done(await updateTask(group, request)),
    checkpoint: async (request) => done(await checkpointTask(group, request)),
    resizePty: async (request) => done(resizeTerminal(group, request)),
    closeIo: async (request) => done(closeInput(group, request)),
    connect: async ({ id }) => ({
      shimPid: process.pid,
      taskPid: group.containers.get(id)?.init.pid ?? 0,
      version,
    }),
    shutdown: async () => {
      if (group.containers.size === 0) onShutdown();
      return {};
    },
  };
}

const done = (_: unknown): Record<string, never> => ({});

function stateOf(id: string, bundle: string, process: ManagedProcess, init: ManagedProcess): shimTask.StateResponse {
  const { stdio } = process.record;
  // a pause stops the whole container, its execs too
  const isPaused = init.state === 'paused' && process.state === 'running';
  return {
    id: process.execId === '' ? id : process.execId,
    bundle,
    pid: process.pid,
    status: isPaused ? Status.PAUSED : statuses[process.state],
    stdin: stdio.stdin,
    stdout: stdio.stdout,
    stderr: stdio.stderr,
    terminal: stdio.isTerminal,
    exitStatus: process.exit?.exitStatus ?? 0,
    exitedAt: process.exit === undefined ? goZeroTime() : toTimestamp(BigInt(process.exit.exitedAt)),
    execId: process.execId,
  };
}
