/** Task Exec: registers a further process; Start runs it. */
import { join } from 'node:path';
import { decodeAny, type shimTask } from '@boxship/api';
import { BoxshipError, checkIdentifier, writeFileAtomicSync } from '@boxship/base';
import type { RuntimeProcess } from '@boxship/oci';
import type { Group } from './group.ts';
import { ManagedProcess } from './process.ts';
import { newProcess } from './record.ts';
import { checkAllowed } from './state.ts';

export async function addExec(group: Group, request: shimTask.ExecProcessRequest): Promise<void> {
  const container = group.container(request.id);
  checkIdentifier(request.execId);
  if (container.execs.has(request.execId)) throw new BoxshipError('alreadyExists', `id ${request.execId}`);
  checkAllowed('exec', container.init.state);
  if (container.init.pid === 0) throw new BoxshipError('unknown', 'cannot exec in a created state'); // yet to be restored
  const spec = decodeProcess(request);
  const exec = new ManagedProcess(newProcess(request.execId, request));
  const path = join(container.bundle, `exec-${request.execId}.process.json`);
  writeFileAtomicSync(path, JSON.stringify(spec), { mode: 0o600, isDurable: false });
  container.execs.set(request.execId, exec);
  container.save();
  group.events.execAdded(container, request.execId);
}

function decodeProcess(request: shimTask.ExecProcessRequest): RuntimeProcess {
  const decoded = request.spec === undefined ? undefined : decodeAny(request.spec);
  if (decoded?.kind !== 'json')
    throw new BoxshipError(
      'invalidArgument',
      `exec ${request.execId}: spec of type ${request.spec?.typeUrl ?? 'none'}: want an OCI process`,
    );
  const process = decoded.value as RuntimeProcess;
  // a working directory under /proc would lead through the runtime's own descriptors
  if (typeof process.cwd !== 'string' || !process.cwd.startsWith('/') || /^\/proc(\/|$)/.test(process.cwd))
    throw new BoxshipError(
      'invalidArgument',
      `exec ${request.execId}: cwd ${JSON.stringify(process.cwd)} is not an absolute path outside /proc`,
    );
  return { ...process, terminal: request.terminal };
}
