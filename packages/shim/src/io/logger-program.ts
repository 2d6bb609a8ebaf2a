/**
 * A foreign logging program (`binary://` URI): it reads the FIFOs itself, on descriptors 3 and 4, and says on 5 that it is
 * ready. It is in a session of its own, so it goes on when this process dies.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { BoxshipError, messageOf, withDeadline } from '@boxship/base';
import { openFifo, setNonBlocking } from '@boxship/linux';

const READY_MS = 10_000;
const TERM_MS = 12_000;

export interface LoggerProgramOptions {
  readonly path: string;
  readonly arguments: readonly string[];
  readonly stdoutFifo: string;
  readonly stderrFifo: string;
  readonly containerId: string;
  readonly namespace: string;
}

export class LoggerProgram {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Starts it and waits until it is ready. @throws unknown with its exit or refusal */
  static async start(options: LoggerProgramOptions): Promise<LoggerProgram> {
    const fds = [options.stdoutFifo, options.stderrFifo].map((path) => {
      const fd = openFifo(path, { access: 'read' });
      setNonBlocking(fd, false);
      return fd;
    });
    const child = spawn(options.path, options.arguments, {
      stdio: ['ignore', 'ignore', 'ignore', ...fds, 'pipe'],
      detached: true,
      env: {
        PATH: process.env['PATH'],
        CONTAINER_ID: options.containerId,
        CONTAINER_NAMESPACE: options.namespace,
      },
    });
    for (const fd of fds) closeSync(fd);
    const failed = new Promise<never>((_, reject) => {
      child.once('error', (error) =>
        reject(new BoxshipError('unknown', `logging program ${options.path}: ${messageOf(error)}`, { cause: error })),
      );
      child.once('exit', (code, signal) =>
        reject(
          new BoxshipError('unknown', `logging program ${options.path} ended at once (${signal ?? `code ${code}`})`),
        ),
      );
    });
    failed.catch(() => {}); // later ends are normal
    const ready = (child.stdio as readonly unknown[])[5] as NodeJS.ReadableStream | null;
    await withDeadline(
      { component: 'shim', operation: 'start of logging program', id: options.path, timeoutMs: READY_MS },
      async () => {
        const signalled = new Promise<void>((resolve) => {
          ready?.once('data', () => resolve());
          ready?.once('end', () => resolve());
        });
        await Promise.race([signalled, failed]);
      },
    );
    child.unref();
    return new LoggerProgram(child);
  }

  /** Its input has ended; it gets twelve seconds to finish by itself or on SIGTERM. */
  stop(): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), TERM_MS);
    timer.unref();
    this.#child.once('exit', () => clearTimeout(timer));
  }
}
