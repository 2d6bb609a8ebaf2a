/**
 * Ends of a process's stdio FIFOs, held beside the shim's own. A pipe that nobody has open loses what is in it: with these
 * the last lines of a container that ends while no shim runs are still there for the successor, and its standard input does
 * not end. Names: `<bundle>/<process>.stdin|stdout|stderr`, where the process is `init` or `exec-<id>`.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';

export class HeldPipes implements Disposable {
  readonly #output: number[];
  #stdin: number | undefined;

  constructor(bundle: string, process: string) {
    const at = (stream: string) => join(bundle, `${process}.${stream}`);
    // read-only: with a writer's end of ours the shim would never see the end of the output
    this.#output = ['stdout', 'stderr'].flatMap((stream) => open(at(stream), constants.O_RDONLY) ?? []);
    this.#stdin = open(at('stdin'), constants.O_WRONLY);
  }

  /** The client has no more input: the process is to see the end. */
  closeStdin(): void {
    if (this.#stdin !== undefined) closeSync(this.#stdin);
    this.#stdin = undefined;
  }

  [Symbol.dispose](): void {
    this.closeStdin();
    for (const fd of this.#output.splice(0)) closeSync(fd);
  }
}

function open(path: string, access: number): number | undefined {
  try {
    return openSync(path, access | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // no such stream, or (write end) nobody reads it any more
    if (code === 'ENOENT' || code === 'ENXIO') return undefined;
    throw error;
  }
}
