/**
 * A live shim as the task manager sees it: something that answers the Task service. Two forms:
 *
 * - {@link SingleShim}: one process for one container, the way every foreign shim works. When its connection ends, the
 *   container is lost and cleaned up (containerd's rule).
 * - {@link GroupShim}: one process for many containers. When its connection ends a successor is started, adopts the
 *   containers from their bundles, and calls go on; nobody above notices more than a delay.
 */
import { shimSandbox, shimTask } from '@boxship/api';
import { BoxshipError, type Logger, messageOf, sleep, withDeadline } from '@boxship/base';
import { type ServiceClient, TtrpcClient } from '@boxship/ttrpc';
import { type ShimInvocation, startShim } from './shim-binary.ts';

export type TaskClient = ServiceClient<typeof shimTask.TaskService>;
export type SandboxClient = ServiceClient<typeof shimSandbox.SandboxService>;

/** One call to a shim; most ask the Task service. */
export type ShimWork<T> = (task: TaskClient, sandbox: SandboxClient) => Promise<T>;

export interface ShimCallOptions {
  readonly operation: string;
  readonly id: string;
  /** Undefined: without limit (Wait). */
  readonly timeoutMs: number | undefined;
  readonly signal?: AbortSignal;
  /** Whether the call may be made again when the shim dies under it. */
  readonly isRepeatable: boolean;
}

export interface Shim {
  readonly binary: string;
  readonly address: string;
  readonly isGroup: boolean;
  call<T>(options: ShimCallOptions, work: ShimWork<T>): Promise<T>;
  /** Ends the connection; the shim's process lives on. */
  close(): Promise<void>;
}

async function bounded<T>(options: ShimCallOptions, work: () => Promise<T>): Promise<T> {
  const { operation, id, timeoutMs, signal } = options;
  if (timeoutMs === undefined && signal === undefined) return await work();
  const limit = { component: 'shim', operation, id, timeoutMs: timeoutMs ?? 2 ** 31 - 1 };
  return await withDeadline(signal === undefined ? limit : { ...limit, signal }, work);
}

export class SingleShim implements Shim {
  readonly isGroup = false;
  readonly binary: string;
  readonly address: string;
  /** The process is a sandbox, which may have other tasks: it does not end with this one. */
  readonly isShared: boolean;
  readonly #client: TtrpcClient;
  readonly #task: TaskClient;
  readonly #log: Disposable;

  private constructor(binary: string, address: string, client: TtrpcClient, log: Disposable, isShared: boolean) {
    this.binary = binary;
    this.address = address;
    this.isShared = isShared;
    this.#client = client;
    this.#task = client.service(shimTask.TaskService);
    this.#log = log;
    void client.closed.then(() => log[Symbol.dispose]());
  }

  /** @param log reads what the shim says about itself; ends with the shim */
  static async connect(binary: string, address: string, log: Disposable): Promise<SingleShim> {
    try {
      return new SingleShim(binary, address, await TtrpcClient.connect(address), log, false);
    } catch (error) {
      log[Symbol.dispose]();
      throw error;
    }
  }

  /** A connection of its own to the shim of a sandbox, as each task has one. */
  static async share(binary: string, address: string): Promise<SingleShim> {
    const client = await TtrpcClient.connect(address);
    return new SingleShim(binary, address, client, { [Symbol.dispose]: () => {} }, true); // the sandbox reads its log
  }

  /** Resolves when the connection has ended. */
  get closed(): Promise<unknown> {
    return this.#client.closed;
  }

  call<T>(options: ShimCallOptions, work: ShimWork<T>): Promise<T> {
    return bounded(options, () => work(this.#task, this.#client.service(shimSandbox.SandboxService)));
  }

  async close(): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
    this.#log[Symbol.dispose]();
  }
}

export interface GroupShimOptions {
  readonly invocation: ShimInvocation;
  readonly log: Logger;
  /** Before a successor is started: writes down what it needs to know. */
  readonly prepareSuccession: () => void;
  /** After a successor serves: takes hold of its descriptors anew. */
  readonly onSucceeded: () => Promise<void>;
}

interface Connection {
  readonly client: TtrpcClient;
  readonly task: TaskClient;
}

export class GroupShim implements Shim {
  readonly isGroup = true;
  readonly #options: GroupShimOptions;
  #address = '';
  #connection: Promise<Connection>;
  #isClosed = false;

  constructor(options: GroupShimOptions) {
    this.#options = options;
    this.#connection = this.#start(1);
    this.#connection.catch(() => {}); // reported to whoever calls; a later call starts anew
  }

  get binary(): string {
    return this.#options.invocation.binary;
  }

  /** Its home. */
  get directory(): string {
    return this.#options.invocation.directory;
  }

  get address(): string {
    return this.#address;
  }

  /** Resolves when the shim serves. */
  async ready(): Promise<void> {
    await this.#connection;
  }

  async call<T>(options: ShimCallOptions, work: ShimWork<T>): Promise<T> {
    return await bounded(options, async () => {
      for (;;) {
        const connection = await this.#connected();
        try {
          return await work(connection.task, connection.client.service(shimSandbox.SandboxService));
        } catch (error) {
          if (!connection.client.isClosed || this.#isClosed || !options.isRepeatable) throw error;
          // the shim died under the call: the loop waits for its successor
        }
      }
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const connection = await this.#connection.catch(() => undefined); // one that never came needs no closing
    await connection?.client[Symbol.asyncDispose]();
  }

  /** Ends the process of the shim too. */
  async end(): Promise<void> {
    const connection = await this.#connection.catch(() => undefined); // one that never came needs no ending
    if (connection === undefined) return;
    this.#isClosed = true;
    const { shimPid } = await connection.task.connect({ id: '' }, { timeoutMs: 2_000 });
    process.kill(shimPid, 'SIGTERM');
    await connection.client.closed;
  }

  /** Ends the shim for good by a call that makes it end. When the call fails the shim is what it was before. */
  async finish(options: ShimCallOptions, work: ShimWork<unknown>): Promise<void> {
    const { client, task } = await this.#connected();
    this.#isClosed = true; // no successor
    try {
      await bounded(options, () => work(task, client.service(shimSandbox.SandboxService)));
    } catch (error) {
      this.#isClosed = false;
      if (client.isClosed) this.#succeed();
      throw error;
    }
    await client.closed;
  }

  #connected(): Promise<Connection> {
    return this.#connection.catch(() => {
      // the last start failed: this call tries again instead of repeating an old failure
      this.#connection = this.#start(3);
      return this.#connection;
    });
  }

  async #start(attempts: number): Promise<Connection> {
    for (let attempt = 1; ; attempt++) {
      try {
        this.#address = await startShim(this.#options.invocation);
        const client = await TtrpcClient.connect(this.#address);
        void client.closed.then(() => this.#succeed());
        return { client, task: client.service(shimTask.TaskService) };
      } catch (error) {
        if (attempt >= attempts || this.#isClosed) throw error;
        await sleep(Math.min(2_000, 50 * 2 ** attempt));
      }
    }
  }

  #succeed(): void {
    if (this.#isClosed) return;
    const { log, invocation } = this.#options;
    const startedAt = performance.now();
    log.warn('the shim has ended, a successor takes over', { namespace: invocation.namespace, group: invocation.id });
    this.#connection = (async () => {
      this.#options.prepareSuccession();
      return await this.#start(20);
    })();
    this.#connection
      .then(
        async () => {
          await this.#options.onSucceeded();
          log.info('the successor of the shim serves', {
            group: invocation.id,
            tookMs: Math.round(performance.now() - startedAt),
          });
        },
        (error: unknown) =>
          log.error('no successor of the shim could be started', { group: invocation.id, error: messageOf(error) }),
      )
      .catch((error: unknown) =>
        log.error('the successor of the shim was not taken over', { error: messageOf(error) }),
      );
  }
}

/** True for the failure of a call whose shim is gone. */
export const isShimGone = (error: unknown): boolean => BoxshipError.is(error, 'unavailable');
