/** Whether a cgroup is frozen (`docker pause`), and how it is frozen and thawed. */
import { writeFileSync } from 'node:fs';
import type { CgroupPaths } from './paths.ts';
import { readKeyed, readText } from './read.ts';

export type FreezerState = 'thawed' | 'freezing' | 'frozen';

export function freezerState(paths: CgroupPaths): FreezerState {
  if (paths.version === 1) {
    const state = readText(`${paths.controllers.get('freezer')}/freezer.state`);
    return state === 'FROZEN' ? 'frozen' : state === 'FREEZING' ? 'freezing' : 'thawed';
  }
  if (readText(`${paths.unified}/cgroup.freeze`) !== '1') return 'thawed';
  return readKeyed(`${paths.unified}/cgroup.events`)('frozen') === 1n ? 'frozen' : 'freezing';
}

/** Asks the kernel to freeze or thaw; {@link freezerState} tells when it is done. */
export function setFrozen(paths: CgroupPaths, isFrozen: boolean): void {
  if (paths.version === 1)
    writeFileSync(`${paths.controllers.get('freezer')}/freezer.state`, isFrozen ? 'FROZEN' : 'THAWED');
  else writeFileSync(`${paths.unified}/cgroup.freeze`, isFrozen ? '1' : '0');
}
