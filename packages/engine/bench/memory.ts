/** Memory of an engine's processes: proportional set size, so that shared pages are counted once. */
import { readFileSync } from 'node:fs';
import { processesWith } from '../test/harness/engine-under-test.ts';

/** Bytes held by every process whose command line names `text`. */
export function pssOf(text: string): number {
  return processesWith(text).reduce((sum, { pid }) => {
    try {
      const line = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
      return sum + Number(line?.[1] ?? 0) * 1024;
    } catch {
      return sum; // ended meanwhile
    }
  }, 0);
}
