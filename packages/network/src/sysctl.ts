/** Kernel parameters of the network namespace of the calling thread (`/proc/sys/net` shows the reader's own). */
import { readFileSync, writeFileSync } from 'node:fs';

/** `net/ipv4/ip_forward`. A parameter that this kernel does not have is left out: false. */
export function writeSysctl(name: string, value: string): boolean {
  try {
    writeFileSync(`/proc/sys/${name}`, value, { flag: 'r+' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

export function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name}`, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
