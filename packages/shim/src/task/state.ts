/** Which verb a process' state allows; the sentences are those of containerd's own shim, which clients know. */
import { BoxshipError } from '@boxship/base';

export type ProcessState = 'created' | 'running' | 'paused' | 'stopped' | 'deleted';
export type Verb = 'start' | 'delete' | 'kill' | 'exec' | 'pause' | 'resume' | 'resize' | 'update' | 'checkpoint';

const all: readonly ProcessState[] = ['created', 'running', 'paused', 'stopped', 'deleted'];

/** Verb → states that allow it. */
export const allowed: Readonly<Record<Verb, readonly ProcessState[]>> = {
  start: ['created'],
  delete: ['created', 'stopped'],
  kill: ['created', 'running', 'paused'],
  exec: ['created', 'running'],
  pause: ['running'],
  resume: ['paused'],
  resize: ['created', 'running', 'paused'],
  update: ['created', 'running', 'paused'],
  checkpoint: ['running', 'paused'],
};

/** Legal changes of state. */
export const edges: Readonly<Record<ProcessState, readonly ProcessState[]>> = {
  created: ['running', 'stopped', 'deleted'],
  running: ['paused', 'stopped'],
  paused: ['running', 'stopped'],
  stopped: ['deleted'],
  deleted: [],
};

/** @throws unknown (gRPC 2, as containerd's shim answers), or notFound for a signal to a dead process */
export function checkAllowed(verb: Verb, state: ProcessState): void {
  if (allowed[verb].includes(state)) return;
  if (verb === 'kill') throw new BoxshipError('notFound', 'process already finished');
  throw new BoxshipError('unknown', refusal(verb, state));
}

/** In containerd's words, each of which has its own. */
function refusal(verb: Verb, state: ProcessState): string {
  if (verb === 'exec') return `cannot exec in a ${state} state`;
  if (verb === 'checkpoint' && state === 'created') return 'cannot checkpoint a task in created state';
  if (state === 'created') return `cannot ${verb} task in created state`;
  const isOfProcess = verb === 'start' || verb === 'delete' || state === 'running' || state === 'deleted';
  return `cannot ${verb} a ${state} ${isOfProcess ? 'process' : 'container'}`;
}

/** @throws internal when the change is not one of {@link edges} */
export function checkEdge(from: ProcessState, to: ProcessState): void {
  if (from !== to && !edges[from].includes(to))
    throw new BoxshipError('internal', `illegal change of state ${from} → ${to}`);
}

export const states = all;
