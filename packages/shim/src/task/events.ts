/** The events of a task, one function each: topic, type and fields in one place. */

import type { Mount } from '@boxship/api';
import { eventTypes, toTimestamp } from '@boxship/api';
import type { Publisher } from '../publisher.ts';
import type { Container } from './container.ts';
import type { ManagedProcess } from './process.ts';
import type { ExitRecord } from './record.ts';

const type = (name: string) => `containerd.events.${name}`;

export class TaskEvents {
  readonly #publisher: Publisher;

  constructor(publisher: Publisher) {
    this.#publisher = publisher;
  }

  created(container: Container, rootfs: readonly Mount[], checkpoint: string): void {
    const { stdin, stdout, stderr, isTerminal: terminal } = container.init.record.stdio;
    this.#publisher.publish('/tasks/create', type('TaskCreate'), eventTypes.TaskCreate, {
      containerId: container.id,
      bundle: container.bundle,
      rootfs: [...rootfs],
      io: { stdin, stdout, stderr, terminal },
      checkpoint,
      pid: container.init.pid,
    });
  }

  started(container: Container, process: ManagedProcess): void {
    const { id: containerId } = container;
    const { pid, execId } = process;
    if (execId === '')
      this.#publisher.publish('/tasks/start', type('TaskStart'), eventTypes.TaskStart, { containerId, pid });
    else
      this.#publisher.publish('/tasks/exec-started', type('TaskExecStarted'), eventTypes.TaskExecStarted, {
        containerId,
        execId,
        pid,
      });
  }

  exited(container: Container, process: ManagedProcess, exit: ExitRecord): void {
    this.#publisher.publish('/tasks/exit', type('TaskExit'), eventTypes.TaskExit, {
      containerId: container.id,
      id: process.execId === '' ? container.id : process.execId,
      pid: exit.pid,
      exitStatus: exit.exitStatus,
      exitedAt: toTimestamp(BigInt(exit.exitedAt)),
    });
  }

  deleted(container: Container, exit: ExitRecord): void {
    this.#publisher.publish('/tasks/delete', type('TaskDelete'), eventTypes.TaskDelete, {
      containerId: container.id,
      pid: exit.pid,
      exitStatus: exit.exitStatus,
      exitedAt: toTimestamp(BigInt(exit.exitedAt)),
      id: '',
    });
  }

  execAdded(container: Container, execId: string): void {
    const value = { containerId: container.id, execId };
    this.#publisher.publish('/tasks/exec-added', type('TaskExecAdded'), eventTypes.TaskExecAdded, value);
  }

  oom(container: Container): void {
    this.#publisher.publish('/tasks/oom', type('TaskOOM'), eventTypes.TaskOOM, { containerId: container.id });
  }

  paused(container: Container): void {
    this.#publisher.publish('/tasks/paused', type('TaskPaused'), eventTypes.TaskPaused, { containerId: container.id });
  }

  resumed(container: Container): void {
    this.#publisher.publish('/tasks/resumed', type('TaskResumed'), eventTypes.TaskResumed, {
      containerId: container.id,
    });
  }

  checkpointed(container: Container, checkpoint: string): void {
    const value = { containerId: container.id, checkpoint };
    this.#publisher.publish('/tasks/checkpointed', type('TaskCheckpointed'), eventTypes.TaskCheckpointed, value);
  }
}
