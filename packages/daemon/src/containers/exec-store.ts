/** Processes added to containers. They live in memory: an exec belongs to one run of its container and one daemon. */
import { BoxshipError } from '@boxship/base';
import type { ExecCreateRequest } from '@boxship/engine-api';
import type { ProcessInput } from './process-input.ts';

export interface Exec {
  readonly id: string;
  readonly containerId: string;
  readonly command: readonly string[];
  readonly request: ExecCreateRequest;
  readonly detachKeys: string;
  state: 'created' | 'starting' | 'running' | 'exited';
  pid: number;
  exitCode: number | undefined;
  stdin: ProcessInput | undefined;
  /** Milliseconds since 1970; ended ones are forgotten some time later. */
  endedAt: number;
  readonly exited: PromiseWithResolvers<number>;
}

export interface ExecStore {
  add(exec: Exec): void;
  /** @throws notFound */
  get(id: string): Exec;
  byId(id: string): Exec | undefined;
  ofContainer(containerId: string): Exec[];
  remove(exec: Exec): void;
}

const keptAfterEndMs = 5 * 60_000;

export function createExecStore(): ExecStore {
  const execs = new Map<string, Exec>();
  const sweep = () => {
    const limit = Date.now() - keptAfterEndMs;
    for (const exec of execs.values()) if (exec.state === 'exited' && exec.endedAt < limit) execs.delete(exec.id);
  };
  return {
    add(exec) {
      sweep();
      execs.set(exec.id, exec);
    },
    get(id) {
      const exec = execs.get(id);
      if (exec === undefined) throw new BoxshipError('notFound', `No such exec instance: ${id}`);
      return exec;
    },
    byId: (id) => execs.get(id),
    ofContainer: (containerId) => [...execs.values()].filter((exec) => exec.containerId === containerId),
    remove(exec) {
      execs.delete(exec.id);
    },
  };
}
