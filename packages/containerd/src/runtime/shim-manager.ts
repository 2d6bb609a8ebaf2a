/**
 * Finds or starts the shim for a task. Programs named in `groupingShims` serve many containers per process: one per
 * namespace and group, started ahead of need, so that no process but the OCI runtime is started on the path of a container.
 * The group is the annotation `io.containerd.runc.v2.group` of the specification, else `default`.
 */
import { mkdirSync, rmSync } from 'node:fs';
import type { Any } from '@boxship/api';
import { Any as AnyMessage } from '@boxship/api';
import type { Logger } from '@boxship/base';
import { type BundleRoots, groupDirectory, sandboxHome } from './bundle.ts';
import { GroupShim, type Shim, SingleShim } from './shim.ts';
import { resolveRuntime, type ShimInvocation, startShim } from './shim-binary.ts';
import { readShimLog } from './shim-log.ts';

export interface ShimManagerOptions {
  readonly roots: BundleRoots;
  /** Our gRPC socket. */
  readonly address: string;
  /** Runtime name → program. */
  readonly runtimes: ReadonlyMap<string, string>;
  readonly groupingShims: ReadonlySet<string>;
  readonly isDebug: boolean;
  readonly log: Logger;
  readonly prepareSuccession: (shim: Shim) => void;
  readonly onSucceeded: (shim: Shim) => Promise<void>;
  /** True when the shim supervises no task. */
  readonly isIdle: (shim: Shim) => boolean;
}

export class ShimManager implements AsyncDisposable {
  readonly #options: ShimManagerOptions;
  readonly #groups = new Map<string, GroupShim>();

  constructor(options: ShimManagerOptions) {
    this.#options = options;
  }

  resolve(runtime: string): string {
    return resolveRuntime(runtime, this.#options.runtimes);
  }

  isGrouping(binary: string): boolean {
    return this.#options.groupingShims.has(binary);
  }

  /** The shim of a group, running or started now. */
  group(binary: string, namespace: string, name: string): GroupShim {
    const directory = groupDirectory(this.#options.roots, namespace, name);
    return this.#atHome(binary, namespace, name, directory);
  }

  /** The shim of a sandbox, running or started now: a group that no specification can name. */
  sandbox(binary: string, namespace: string, id: string): GroupShim {
    return this.#atHome(binary, namespace, id, sandboxHome(this.#options.roots, namespace, id));
  }

  /** After the end of a sandbox's shim. */
  forget(shim: GroupShim): void {
    for (const [key, one] of this.#groups) {
      if (one !== shim) continue;
      this.#groups.delete(key);
      rmSync(shim.directory, { recursive: true, force: true });
    }
  }

  /** @param directory where it is at home: one shim each */
  #atHome(binary: string, namespace: string, name: string, directory: string): GroupShim {
    const key = `${binary} ${directory}`;
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const shim: GroupShim = new GroupShim({
      invocation: this.#invocation(binary, namespace, name, directory, undefined),
      log: this.#options.log,
      prepareSuccession: () => this.#options.prepareSuccession(shim),
      onSucceeded: () => this.#options.onSucceeded(shim),
    });
    this.#groups.set(key, shim);
    return shim;
  }

  /** Starts a shim of its own for one container. */
  async single(
    binary: string,
    namespace: string,
    id: string,
    bundle: string,
    options: Any | undefined,
  ): Promise<SingleShim> {
    const log = readShimLog(bundle, this.#options.log);
    try {
      const address = await startShim(this.#invocation(binary, namespace, id, bundle, options));
      return await SingleShim.connect(binary, address, log);
    } catch (error) {
      log[Symbol.dispose]();
      throw error;
    }
  }

  /** Finds the shim of a bundle again. @throws unavailable when it is gone */
  async reconnect(binary: string, address: string, bundle: string): Promise<SingleShim> {
    return await SingleShim.connect(binary, address, readShimLog(bundle, this.#options.log));
  }

  /** How the program is called for this container; also for its `delete`. */
  invocation(binary: string, namespace: string, id: string, bundle: string): ShimInvocation {
    return this.#invocation(binary, namespace, id, bundle, undefined);
  }

  #invocation(
    binary: string,
    namespace: string,
    id: string,
    directory: string,
    options: Any | undefined,
  ): ShimInvocation {
    return {
      binary,
      namespace,
      id,
      directory,
      address: this.#options.address,
      options: options === undefined ? Buffer.alloc(0) : AnyMessage.encode(options).finish(),
      isDebug: this.#options.isDebug,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // an orderly end takes idle shims along; those with containers live on, for the next containerd
    await Promise.all(
      [...this.#groups.values()].map((shim) => (this.#options.isIdle(shim) ? shim.end() : shim.close())),
    );
  }
}

/** The group that a specification asks for. */
export function groupOf(spec: Uint8Array): string {
  const { annotations } = JSON.parse(Buffer.from(spec).toString('utf8')) as { annotations?: { [key: string]: string } };
  return annotations?.['io.containerd.runc.v2.group'] ?? annotations?.['io.kubernetes.cri.sandbox-id'] ?? 'default';
}
