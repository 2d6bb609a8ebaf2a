/** A `boxship-networkd` in a {@link TestHost}: started, killed, started again. */

import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectController } from '../wire/connect.ts';
import type { RemoteController } from '../wire/remote-controller.ts';
import { ttrpcAddress } from '../wire/ttrpc-address.ts';
import type { TestHost } from './test-host.ts';

const program = fileURLToPath(new URL('../main.ts', import.meta.url));

export class TestNetworkd implements Disposable {
  readonly runDirectory: string;
  readonly address: string;
  readonly controller: RemoteController;
  readonly #host: TestHost;
  readonly #arguments: readonly string[];
  #child: ChildProcess | undefined;
  /** Everything it logged. */
  log = '';

  constructor(host: TestHost, instance: string, flags: readonly string[] = []) {
    this.#host = host;
    const directory = join(host.directory, instance);
    this.runDirectory = join(directory, 'run');
    this.address = join(directory, 'network.sock');
    this.#arguments = [
      ...['--address', this.address, '--root', join(directory, 'state'), '--exec-root', this.runDirectory],
      ...['--instance', instance, ...flags],
    ];
    this.controller = connectController(ttrpcAddress(this.address), { timeoutMs: 15_000 });
  }

  /** Starts it; with `failPoint` it dies there. Does not wait: calls of the controller do. */
  start(failPoint?: string, flags: readonly string[] = []): void {
    const env = failPoint === undefined ? {} : { BOXSHIP_TEST: '1', BOXSHIP_FP: failPoint };
    const args = ['--conditions=@boxship/source', '--no-warnings', program, ...this.#arguments, ...flags];
    this.#child = this.#host.spawn(this.#host.namespace, process.execPath, args, env);
    this.#child.stderr?.on('data', (data: Buffer) => {
      this.log += data.toString();
    });
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves with the signal or the code it ended with. */
  ended(): Promise<NodeJS.Signals | number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null)
      return Promise.resolve(child?.signalCode ?? child?.exitCode ?? null);
    return new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
  }

  /** Stops it (`SIGSTOP`) or lets it go on (`SIGCONT`). */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const end = this.ended();
    this.#child?.kill(signal);
    await end;
  }

  [Symbol.dispose](): void {
    this.controller[Symbol.dispose]();
  }
}
