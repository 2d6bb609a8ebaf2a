/** What of a group's containers is to outlive the shim, and under which names. */
import { closeSync } from 'node:fs';
import type { Container } from '../task/container.ts';
import type { ManagedProcess } from '../task/process.ts';
import type { Holding, Holdings } from './keeper.ts';

export type HeldThing = 'pidfd' | 'master' | 'stdin' | 'stdout' | 'stderr';

/** Unique within a group; neither id holds a slash. */
export const heldName = (containerId: string, execId: string, thing: HeldThing): string =>
  `${containerId}/${execId}/${thing}`;

export function holdingsOf(containers: Iterable<Container>): Holdings {
  const list: Holding[] = [];
  const opened: number[] = [];
  for (const container of containers) for (const process of container.processes) add(container, process, list, opened);
  return {
    list,
    [Symbol.dispose]() {
      for (const fd of opened) closeSync(fd);
    },
  };
}

function add(container: Container, process: ManagedProcess, list: Holding[], opened: number[]): void {
  const hold = (thing: HeldThing, fd: number | undefined) => {
    if (fd !== undefined) list.push({ name: heldName(container.id, process.execId, thing), fd });
  };
  hold('pidfd', process.pidfd);
  hold('master', process.stdio?.master);
  for (const { stream, fd } of process.stdio?.openFarEnds() ?? []) {
    opened.push(fd);
    hold(stream, fd);
  }
}
