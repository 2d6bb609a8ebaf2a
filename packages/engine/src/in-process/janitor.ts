/**
 * Who clears up after an owner that was killed. A shell waits at the other end of a pipe that the kernel closes with the
 * owner; if it hears no word of farewell before, it becomes the program `janitor`, which opens the engine once more, by the
 * normal way of recovery, and ends it in good order.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { type EnginePaths, programPath } from '../paths.ts';

const farewell = 'done';
const script = `read -r word; [ "$word" = ${farewell} ] || exec "$@"`;

export interface JanitorOptions {
  /** As the owner's. */
  readonly directory: string;
  readonly args?: readonly string[];
}

/** Disposing says farewell. */
export function startJanitor(options: JanitorOptions, paths: EnginePaths): Disposable {
  const log = openSync(join(paths.logDirectory, 'janitor.log'), 'a', 0o640);
  const program = [process.execPath, '--no-warnings', programPath('boxship-janitor'), options.directory];
  const child = spawn('/bin/sh', ['-c', script, 'janitor', ...program, ...(options.args ?? [])], {
    stdio: ['pipe', log, log],
    detached: true, // a signal to the owner's process group is not for it
    cwd: '/',
  });
  closeSync(log);
  child.unref();
  const stdin = child.stdin as Socket; // a pipe was asked for
  stdin.on('error', () => {}); // it was killed itself: then an owner that is killed leaves its containers to the next
  stdin.unref();
  return { [Symbol.dispose]: () => void stdin.end(`${farewell}\n`) };
}
