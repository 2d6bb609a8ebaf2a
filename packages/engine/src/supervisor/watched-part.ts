/**
 * One part under watch: started, or taken over when it runs already; started again at once when it dies; stopped in order.
 * A part that dies again and again is started with a growing pause, up to two seconds.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { BoxshipError, type Logger, poll, sleep } from '@boxship/base';
import { closePidfd, onPidfdExit, openPidfd, sharedPoller, signalPidfd } from '@boxship/linux';
import { completePath } from '../host/tools.ts';
import type { Part } from './part.ts';
import { openRecordedProcess, writeProcessRecord } from './process-record.ts';

const SIGTERM = 15;
const SIGKILL = 9;
/** Enough for a machine that is emulated or overloaded. */
const readyTimeoutMs = 120_000;
/** A part that has ended so often before it ever served will not serve. */
const hopelessDeaths = 4;
const steadyMs = 10_000;

export class WatchedPart {
  readonly #part: Part;
  readonly #log: Logger;
  readonly #record: string;
  readonly #logFile: string;
  #pidfd: number | undefined;
  #isStopping = false;
  #ended = Promise.withResolvers<void>();
  #startedAt = 0;
  #quickDeaths = 0;

  constructor(part: Part, options: { partsDirectory: string; logDirectory: string; log: Logger }) {
    this.#part = part;
    this.#log = options.log.child({ part: part.name });
    this.#record = join(options.partsDirectory, `${part.name}.json`);
    this.#logFile = join(options.logDirectory, `${part.name}.log`);
  }

  get name(): string {
    return this.#part.name;
  }

  /** Resolves when the part serves. @throws unavailable when it does not come up */
  async start(): Promise<void> {
    const running = openRecordedProcess(this.#record);
    if (running !== undefined) {
      this.#log.info('part is running already, it is taken over', { pid: running.pid });
      this.#watch(running.pidfd);
    } else {
      this.#launch();
    }
    await this.#ready();
  }

  #launch(): void {
    const { program, args } = this.#part;
    this.#startedAt = performance.now();
    const log = openSync(this.#logFile, 'a', 0o640);
    try {
      const child = spawn(process.execPath, ['--no-warnings', program, ...args], {
        // its own process group and no tie to this process: the death of the supervisor is not the death of the engine
        detached: true,
        stdio: ['ignore', log, log],
        env: { ...process.env, PATH: completePath(process.env['PATH']) },
      });
      if (child.pid === undefined)
        throw new BoxshipError('unavailable', `${this.#part.name} could not be started: ${program}`);
      child.on('error', (error) => this.#log.error('part failed', { error }));
      child.unref();
      writeProcessRecord(this.#record, child.pid);
      this.#log.info('part started', { pid: child.pid });
      this.#watch(openPidfd(child.pid));
    } finally {
      closeSync(log);
    }
  }

  #watch(pidfd: number): void {
    this.#pidfd = pidfd;
    onPidfdExit(sharedPoller(), pidfd, () => {
      closePidfd(sharedPoller(), pidfd);
      this.#pidfd = undefined;
      rmSync(this.#record, { force: true });
      if (this.#isStopping) this.#ended.resolve();
      else void this.#restart();
    });
  }

  async #restart(): Promise<void> {
    this.#quickDeaths = performance.now() - this.#startedAt < steadyMs ? this.#quickDeaths + 1 : 0;
    const pauseMs = this.#quickDeaths < 2 ? 0 : Math.min(2_000, 50 * 2 ** this.#quickDeaths);
    this.#log.warn('part has ended, it is started again', { pauseMs });
    if (pauseMs > 0) await sleep(pauseMs);
    if (this.#isStopping) return this.#ended.resolve();
    try {
      this.#launch();
    } catch (error) {
      this.#log.error('part could not be started again', { error });
      setTimeout(() => void this.#restart(), 1_000);
    }
  }

  async #ready(): Promise<void> {
    const outcome = await poll({ everyMs: 10, timeoutMs: readyTimeoutMs }, async () => {
      if ((await accepts(this.#part.readySocket)) === true) return 'ready';
      return this.#quickDeaths >= hopelessDeaths ? 'hopeless' : undefined;
    });
    if (outcome === 'ready') return;
    const what = outcome === 'hopeless' ? 'ends again and again' : `does not answer after ${readyTimeoutMs / 1000} s`;
    throw new BoxshipError(
      'unavailable',
      `${this.#part.name} ${what} (socket ${this.#part.readySocket}): see ${this.#logFile}`,
    );
  }

  /** Asks the part to end, kills it when its time is over. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#pidfd === undefined) return;
    signalPidfd(this.#pidfd, SIGTERM);
    const timer = setTimeout(() => {
      this.#log.warn('part does not stop, it is killed', { seconds: this.#part.stopSeconds });
      if (this.#pidfd !== undefined) signalPidfd(this.#pidfd, SIGKILL);
    }, this.#part.stopSeconds * 1000);
    await this.#ended.promise;
    clearTimeout(timer);
  }
}

function accepts(path: string): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(undefined));
  });
}
