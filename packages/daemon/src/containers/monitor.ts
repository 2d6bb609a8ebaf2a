/**
 * Follows containerd's task events for as long as the daemon lives. There is no history on that stream: after every gap all
 * containers are reconciled once the new subscription stands.
 */
import { decodeAny, type Envelope, type eventTypes, isZeroTime, toRfc3339 } from '@boxship/api';
import { sleep } from '@boxship/base';
import { nowRfc3339 } from '../clock.ts';
import type { Parts } from '../parts.ts';
import { execExited } from './exec.ts';
import { handleExit } from './exit.ts';
import { eventAttributes } from './model.ts';
import { applyTask } from './reconcile.ts';

const retryMs = 100;

export async function monitorTasks(parts: Parts): Promise<void> {
  const filters = [`namespace==${parts.config.containerdNamespace},topic~=|^/tasks/|`];
  while (!parts.stopping.aborted) {
    try {
      const events = parts.containerd.events.subscribe({ filters }, { timeoutMs: 0, signal: parts.stopping });
      const iterator = events[Symbol.asyncIterator]();
      let next = iterator.next();
      next.catch(() => {}); // awaited below
      // the server answers in order: when it has answered this, it has taken the subscription
      await parts.containerd.version.version({}, { signal: parts.stopping });
      await reconcileAll(parts);
      for (let event = await next; !event.done; event = await next) {
        next = iterator.next();
        next.catch(() => {}); // awaited by the loop
        dispatch(parts, event.value);
      }
    } catch (error) {
      if (parts.stopping.aborted) return;
      parts.log.warn('event stream of containerd ended, subscribing again', { error });
    }
    await sleep(retryMs, parts.stopping).catch(() => {}); // stopping ends the loop
  }
}

export async function reconcileAll(parts: Parts): Promise<void> {
  const { tasks } = await parts.containerd.tasks.list();
  const byId = new Map(tasks.map((task) => [task.id, task]));
  await Promise.all(
    parts.containers.list().map(async (container) => {
      const { state } = container.record;
      if (!state.Running || state.Restarting || container.record.isStarting) return;
      await applyTask(parts, container, byId.get(container.id)).catch((error: unknown) =>
        parts.log.error('container could not be reconciled', { container: container.id, error }),
      );
    }),
  );
}

function dispatch(parts: Parts, envelope: Envelope): void {
  if (envelope.event === undefined) return;
  const decoded = decodeAny(envelope.event);
  if (decoded.kind !== 'message') return;
  switch (envelope.topic) {
    case '/tasks/exit':
      onExit(parts, decoded.value as eventTypes.TaskExit);
      break;
    case '/tasks/oom':
      onOom(parts, (decoded.value as eventTypes.TaskOOM).containerId);
      break;
  }
}

function onExit(parts: Parts, event: eventTypes.TaskExit): void {
  const container = parts.containers.byId(event.containerId);
  if (container === undefined) return;
  const finishedAt = isZeroTime(event.exitedAt) ? nowRfc3339() : toRfc3339(event.exitedAt);
  if (event.id !== event.containerId) {
    execExited(parts, event.id, event.exitStatus);
    return;
  }
  if (container.record.state.Pid === event.pid) container.hasTaskExited = true;
  handleExit(parts, container, { exitCode: event.exitStatus, finishedAt, pid: event.pid }).catch((error: unknown) =>
    parts.log.error('end of container could not be handled', { container: container.id, error }),
  );
}

function onOom(parts: Parts, id: string): void {
  const container = parts.containers.byId(id);
  if (container === undefined) return;
  container.hasOomEvent = true;
  parts.events.publish('container', 'oom', id, eventAttributes(container.record));
}
