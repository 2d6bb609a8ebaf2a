/**
 * The sandboxes that run: each is a shim. A shim that serves many containers gets a successor when it dies, and the sandbox
 * goes on; another shim's sandbox ends with its process. Found again at start by their bundles.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Any, eventTypes, type Mount, nowTimestamp, type shimSandbox } from '@boxship/api';
import { BoxshipError, KeyedMutex, type Logger, messageOf } from '@boxship/base';
import type { EventExchange } from '../events/exchange.ts';
import {
  type Bundle,
  type BundleRoots,
  createBundle,
  readBundleFile,
  removeBundle,
  sandboxBundleOf,
} from './bundle.ts';
import { GroupShim, isShimGone, type SandboxClient, type Shim, SingleShim } from './shim.ts';
import { deleteShim } from './shim-binary.ts';
import type { ShimManager } from './shim-manager.ts';

export interface NewSandbox {
  readonly namespace: string;
  readonly id: string;
  /** Runtime name or path of a shim. */
  readonly runtime: string;
  readonly runtimeOptions: Any | undefined;
  readonly spec: Uint8Array;
  readonly rootfs: Mount[];
  readonly options: Any | undefined;
  readonly netnsPath: string;
  readonly annotations: { [key: string]: string };
}

export interface RunningSandbox {
  readonly bundle: Bundle;
  readonly shim: Shim;
}

export interface SandboxCall {
  readonly operation: string;
  readonly isRepeatable: boolean;
  /** Undefined: without limit. */
  readonly timeoutMs: number | undefined;
  readonly signal?: AbortSignal;
}

const startTimeoutMs = 60_000;
const KILLED = 137;
/** In the bundle: the end was told to those who listen for events. */
const toldName = 'exit-told';

export class SandboxManager {
  readonly #roots: BundleRoots;
  readonly #shims: ShimManager;
  readonly #events: EventExchange;
  readonly #log: Logger;
  readonly #sandboxes = new Map<string, RunningSandbox>();
  readonly #mutex = new KeyedMutex();

  constructor(options: { roots: BundleRoots; shims: ShimManager; events: EventExchange; log: Logger }) {
    this.#roots = options.roots;
    this.#shims = options.shims;
    this.#events = options.events;
    this.#log = options.log;
  }

  find(namespace: string, id: string): RunningSandbox | undefined {
    return this.#sandboxes.get(`${namespace}/${id}`);
  }

  /** @throws notFound */
  get(namespace: string, id: string): RunningSandbox {
    const found = this.find(namespace, id);
    if (found === undefined) throw new BoxshipError('notFound', `sandbox "${id}" is not running`);
    return found;
  }

  isSandbox(shim: Shim): boolean {
    return [...this.#sandboxes.values()].some((one) => one.shim === shim);
  }

  async call<T>(sandbox: RunningSandbox, call: SandboxCall, work: (client: SandboxClient) => Promise<T>): Promise<T> {
    return await sandbox.shim.call({ ...call, id: sandbox.bundle.id }, (_, client) => work(client));
  }

  /** @throws alreadyExists */
  async create(request: NewSandbox): Promise<void> {
    const { namespace, id, rootfs, options, netnsPath, annotations } = request;
    using _lease = await this.#mutex.acquire(`${namespace}/${id}`);
    if (this.find(namespace, id) !== undefined)
      throw new BoxshipError('alreadyExists', `sandbox ${id} already running`);
    const bundle = sandboxBundleOf(this.#roots, namespace, id);
    const binary = this.#shims.resolve(request.runtime);
    createBundle(bundle, request.spec);
    writeFileSync(join(bundle.path, 'shim-binary-path'), binary, { mode: 0o600 });
    let sandbox: RunningSandbox | undefined;
    try {
      sandbox = { bundle, shim: await this.#startShim(binary, bundle, request.runtimeOptions) };
      const call = { operation: 'CreateSandbox', isRepeatable: false, timeoutMs: startTimeoutMs };
      await this.call(sandbox, call, (client) =>
        client.createSandbox({ sandboxId: id, bundlePath: bundle.path, rootfs, options, netnsPath, annotations }),
      );
    } catch (error) {
      if (sandbox !== undefined) await this.#abandon(sandbox);
      removeBundle(bundle);
      throw error;
    }
    this.adopt(sandbox);
  }

  /** Takes a sandbox into the list: a new one, or one found again at start. */
  adopt(sandbox: RunningSandbox): void {
    const { namespace, id } = sandbox.bundle;
    this.#sandboxes.set(`${namespace}/${id}`, sandbox);
    const report = (what: string) => (error: unknown) =>
      this.#log.error(what, { namespace, id, error: messageOf(error) });
    if (sandbox.shim instanceof SingleShim)
      void sandbox.shim.closed.then(() => this.#lost(sandbox)).catch(report('clean-up after a dead sandbox failed'));
    const call = { operation: 'WaitSandbox', isRepeatable: true, timeoutMs: undefined };
    this.call(sandbox, call, (client) => client.waitSandbox({ sandboxId: id })).then(
      (exit) => this.#tellExit(sandbox, exit),
      (error: unknown) => {
        // ended in good order or lost: told by whoever took it out of the list
        if (this.find(namespace, id) === sandbox && !isShimGone(error)) report('waiting for a sandbox failed')(error);
      },
    );
  }

  /** The sandbox and its shim end. @throws failedPrecondition while our shim still has tasks */
  async shutdown(namespace: string, id: string): Promise<void> {
    using _lease = await this.#mutex.acquire(`${namespace}/${id}`);
    const sandbox = this.get(namespace, id);
    const { shim } = sandbox;
    const call = { operation: 'ShutdownSandbox', id, isRepeatable: false, timeoutMs: startTimeoutMs };
    try {
      if (shim instanceof GroupShim) await shim.finish(call, (_, client) => client.shutdownSandbox({ sandboxId: id }));
      else
        await shim.call(call, async (task, client) => {
          await client.shutdownSandbox({ sandboxId: id });
          await task.shutdown({ id, now: true }); // containerd's shim ends by this one
        });
    } catch (error) {
      // a foreign shim that closes before it answers has done what was asked
      if (shim instanceof GroupShim || !isShimGone(error)) throw error;
    }
    await this.#remove(sandbox);
    this.#tellExit(sandbox, { exitStatus: 0, exitedAt: nowTimestamp() });
    removeBundle(sandbox.bundle);
  }

  /** Takes away what is left of a sandbox whose shim cannot be had any more, and tells it. */
  async cleanUp(bundle: Bundle, binary: string): Promise<void> {
    const { namespace, id, path } = bundle;
    if (!this.#shims.isGrouping(binary))
      await deleteShim(this.#shims.invocation(binary, namespace, id, path), path).catch((error: unknown) =>
        this.#log.warn('shim delete failed', { namespace, id, error: messageOf(error) }),
      );
    this.#tellExit({ bundle }, { exitStatus: KILLED, exitedAt: nowTimestamp() });
    removeBundle(bundle);
  }

  async #startShim(binary: string, bundle: Bundle, options: Any | undefined): Promise<Shim> {
    const { namespace, id, path } = bundle;
    if (!this.#shims.isGrouping(binary)) return await this.#shims.single(binary, namespace, id, path, options);
    const shim = this.#shims.sandbox(binary, namespace, id);
    await shim.ready();
    return shim;
  }

  /** A shim that did not become a sandbox. */
  async #abandon(sandbox: RunningSandbox): Promise<void> {
    const { shim, bundle } = sandbox;
    try {
      if (shim instanceof GroupShim) await shim.end();
      else
        await shim.call({ operation: 'Shutdown', id: bundle.id, isRepeatable: false, timeoutMs: 3_000 }, (task) =>
          task.shutdown({ id: bundle.id, now: true }),
        );
    } catch (error) {
      if (!isShimGone(error)) this.#log.warn('shim did not shut down', { id: bundle.id, error: messageOf(error) });
    }
    await this.#remove(sandbox);
  }

  async #remove(sandbox: RunningSandbox): Promise<void> {
    const { shim, bundle } = sandbox;
    this.#sandboxes.delete(`${bundle.namespace}/${bundle.id}`);
    if (shim instanceof GroupShim) this.#shims.forget(shim);
    else await shim.close();
  }

  async #lost(sandbox: RunningSandbox): Promise<void> {
    const { namespace, id } = sandbox.bundle;
    // a new sandbox of that name waits until nothing of this one is left
    using _lease = await this.#mutex.acquire(`${namespace}/${id}`);
    if (this.find(namespace, id) !== sandbox) return; // shut down in good order
    this.#log.warn('the shim of a sandbox has ended', { namespace, id });
    this.#sandboxes.delete(`${namespace}/${id}`);
    await this.cleanUp(sandbox.bundle, sandbox.shim.binary);
  }

  /** Once, also over restarts. */
  #tellExit({ bundle }: Pick<RunningSandbox, 'bundle'>, exit: shimSandbox.WaitSandboxResponse): void {
    if (readBundleFile(bundle.path, 'config.json') === undefined) return; // removed: told before
    if (readBundleFile(bundle.path, toldName) !== undefined) return;
    writeFileSync(join(bundle.path, toldName), '');
    this.#events.emit(bundle.namespace, '/sandboxes/exit', 'containerd.events.SandboxExit', eventTypes.SandboxExit, {
      sandboxId: bundle.id,
      ...exit,
    });
  }
}
