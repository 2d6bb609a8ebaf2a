/** A task: the running side of a container, and who supervises it. */
import type { Bundle } from './bundle.ts';
import type { InitHolder } from './init-holder.ts';
import type { Shim } from './shim.ts';

export interface Task {
  readonly bundle: Bundle;
  readonly shim: Shim;
  /** 0 while the task waits for the start that restores it. */
  pid: number;
  holder: InitHolder;
}

export const taskKey = (namespace: string, id: string): string => `${namespace}/${id}`;
