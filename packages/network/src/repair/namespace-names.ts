/**
 * The names of namespaces (bind mounts in the run directory). One that was unmounted by hand is bound again from a process
 * that lives inside: without its name no later `connect` or start of the engine would find the container's network.
 */
import { readdirSync, rmSync, statSync } from 'node:fs';
import type { Logger } from '@boxship/base';
import { isNamespaceFile, nameNetworkNamespace } from '@boxship/linux';
import type { State } from '../state.ts';

export class NamespaceNames {
  readonly #state: State;
  readonly #log: Logger;
  /** Inode of each namespace, by sandbox: how a process inside is known. */
  readonly #inodes = new Map<string, bigint>();
  readonly #reported = new Set<string>();

  constructor(options: { readonly state: State; readonly log: Logger }) {
    this.#state = options.state;
    this.#log = options.log;
  }

  /** Remembers which namespace a name stands for. */
  learn(sandbox: string, path: string): void {
    this.#inodes.set(sandbox, statSync(path, { bigint: true }).ino);
  }

  check(): void {
    const { sandboxes } = this.#state;
    for (const id of this.#inodes.keys()) if (!sandboxes.has(id)) this.#forget(id);
    for (const record of sandboxes.values()) {
      if (record.state !== 'ready' || record.isForeign === true) continue;
      const { namespacePath: path, spec } = record;
      if (!isNamespaceFile(path)) this.#restore(spec.id, path);
      else if (!this.#inodes.has(spec.id)) this.learn(spec.id, path);
    }
  }

  #forget(id: string): void {
    this.#inodes.delete(id);
    this.#reported.delete(id);
  }

  #restore(sandbox: string, path: string): void {
    const inode = this.#inodes.get(sandbox);
    const pid = inode === undefined ? undefined : processIn(inode);
    if (pid !== undefined) {
      rmSync(path, { force: true });
      nameNetworkNamespace(path, `/proc/${pid}/ns/net`);
      this.#reported.delete(sandbox);
      this.#log.warn('name of a namespace was unmounted by another program: made again', { sandbox, pid });
    } else if (!this.#reported.has(sandbox)) {
      this.#reported.add(sandbox);
      this.#log.error('name of a namespace was unmounted by another program and no process is left inside', {
        sandbox,
        path,
      });
    }
  }
}

function processIn(inode: bigint): string | undefined {
  return readdirSync('/proc').find((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return statSync(`/proc/${name}/ns/net`, { bigint: true }).ino === inode;
    } catch {
      return false; // ended meanwhile, or is not ours to look at
    }
  });
}
