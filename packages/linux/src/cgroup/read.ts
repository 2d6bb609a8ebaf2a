/** The file formats of cgroups: one number, `max`, `key value` lines. A missing file reads as absent: controllers vary. */
import { readFileSync } from 'node:fs';

const MAX = 0xffff_ffff_ffff_ffffn;

export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return undefined; // controller or statistic not available here, or cgroup gone
  }
}

/** A number; `max` reads as 2^64-1; 0 when absent. */
export function readNumber(path: string): bigint {
  return toBigInt(readText(path));
}

export function toBigInt(text: string | undefined): bigint {
  if (text === undefined || text === '' || text === '-1') return 0n;
  if (text === 'max') return MAX;
  return /^\d+$/.test(text) ? BigInt(text) : 0n;
}

/** `key value` per line. Absent keys read as 0. */
export function readKeyed(path: string): (key: string) => bigint {
  const values = new Map<string, bigint>();
  for (const line of (readText(path) ?? '').split('\n')) {
    const space = line.indexOf(' ');
    if (space > 0) values.set(line.slice(0, space), toBigInt(line.slice(space + 1).trim()));
  }
  return (key) => values.get(key) ?? 0n;
}

/** Lines of `file`, split at blanks. */
export function readRows(path: string): string[][] {
  const text = readText(path);
  return text === undefined || text === '' ? [] : text.split('\n').map((line) => line.split(/\s+/));
}
