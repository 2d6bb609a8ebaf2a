/** Memory of an engine's processes: proportional set size, so that shared pages are counted once. */
import { readFileSync } from 'node:fs';
import { processesWith } from '../test/harness/engine-under-test.ts';

/** Bytes held by every process whose command line names `text`. */
export const pssOf = (text: string): number => pssOfAll(processesWith(text).map(({ pid }) => pid));

/** Bytes held by the shims of the engine in `directory`, with whatever they keep beside themselves. */
export function shimMemory(directory: string): number {
  const shims = processesWith(directory).filter(({ commandLine }) =>
    /containerd-shim-runc-v2|shim\.cjs -namespace/.test(commandLine),
  );
  const keepers = processesWith('sleep').filter(({ pid }) => variableOf(pid, 'BOXSHIP_KEEPER').startsWith(directory));
  return pssOfAll([...shims, ...keepers].map(({ pid }) => pid));
}

function variableOf(pid: number, name: string): string {
  try {
    const variables = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
    return variables.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
  } catch {
    return ''; // ended meanwhile
  }
}

function pssOfAll(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    try {
      const line = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
      return sum + Number(line?.[1] ?? 0) * 1024;
    } catch {
      return sum; // ended meanwhile
    }
  }, 0);
}
