/** Task Start: `runc start` (or a restore) for the init, `runc exec --detach` for an exec. The event is queued before any exit of it. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { failPoint } from '@boxship/base';
import { watchOom } from '@boxship/linux';
import { ProcessStdio } from '../io/process-stdio.ts';
import type { Container } from './container.ts';
import { reportOom, superviseProcess } from './exit.ts';
import type { Group } from './group.ts';
import type { ManagedProcess } from './process.ts';
import { restoreInit } from './restore.ts';
import { runtimeFailure } from './runtime-failure.ts';
import { checkAllowed } from './state.ts';

/** Gives the pid. */
export async function startProcess(group: Group, id: string, execId: string): Promise<number> {
  const container = group.container(id);
  const process = container.process(execId);
  // exec starts do not queue behind each other: each is a runtime command of its own
  return await group.turns.run(execId === '' ? id : `${id}/${execId}`, async () => {
    checkAllowed('start', process.state);
    const started = Promise.withResolvers<void>();
    process.starting = started.promise;
    try {
      if (execId === '') await startInit(group, container);
      else await startExec(group, container, process);
      // a program that ends at once may be known to have ended already: the state says so, the event comes first
      if (process.state === 'created') process.state = 'running';
      process.record.phase = 'running';
      container.save();
      group.events.started(container, process);
      if (execId === '') watchMemory(group, container);
      return process.pid;
    } finally {
      started.resolve();
    }
  });
}

async function startInit(group: Group, container: Container): Promise<void> {
  if (container.record.restoreFrom !== undefined) {
    await restoreInit(group, container, container.record.restoreFrom);
    return;
  }
  container.init.record.phase = 'starting';
  container.save();
  await failPoint('start.state-starting');
  try {
    await container.runtime.start(container.id);
  } catch (error) {
    container.init.record.phase = 'created';
    throw runtimeFailure('start', error);
  }
  await failPoint('start.runc-started');
}

function watchMemory(group: Group, container: Container): void {
  const { cgroups } = container;
  if (cgroups === undefined || container.init.exit !== undefined) return;
  try {
    container.oomWatch = watchOom(cgroups, () => reportOom(group, container));
  } catch (error) {
    // the container ended meanwhile, or has no memory controller: the count is read once more at the exit
    container.log.debug('no notice of memory kills', { error });
  }
}

async function startExec(group: Group, container: Container, exec: ManagedProcess): Promise<void> {
  const name = `exec-${exec.execId}`;
  const processFile = join(container.bundle, `${name}.process.json`);
  const pidFile = join(container.bundle, `${name}.pid`);
  const context = container.stdioContext(exec.record, group.options.namespace, group.options.socketDirectory);
  const stdio = await ProcessStdio.open(exec.record.stdio, context);
  exec.record.phase = 'starting';
  container.save();
  try {
    await group.duringCommand(async () => {
      exec.record.pid = await stdio.withRuntime((fds, consoleSocket) =>
        container.runtime.exec(container.id, { processFile, pidFile, stdio: fds, consoleSocket }),
      );
      exec.stdio = stdio;
      superviseProcess(group, container, exec);
    });
  } catch (error) {
    exec.record.phase = 'creating';
    exec.record.pid = 0;
    exec.stdio = undefined;
    stdio.close();
    throw runtimeFailure('exec', error);
  } finally {
    rmSync(processFile, { force: true });
    rmSync(pidFile, { force: true });
  }
}
