/**
 * What the runtime says about a failure. Runtimes write JSON objects, one a line, to the file of `--log`; each command gets
 * a file of its own, because one shared by concurrent commands mixes their errors.
 */
import { readFileSync, rmSync } from 'node:fs';

interface Line {
  readonly level?: string;
  readonly msg?: string;
}

/** The last message of level error, else of the worst level present; undefined when the runtime said nothing. */
export function lastError(path: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined; // the runtime opens the file lazily: no file, no words
  }
  const lines = text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as Line];
    } catch {
      return line.trim() === '' ? [] : [{ level: 'plain', msg: line.trim() }]; // a runtime that writes text
    }
  });
  // runc's nsexec part reports `fatal` lines before the error that sums them up
  for (const level of ['error', 'fatal', 'plain', 'warning'])
    for (const line of lines.toReversed()) if (line.level === level && line.msg !== undefined) return line.msg;
  return undefined;
}

export function removeLog(path: string): void {
  rmSync(path, { force: true });
}
