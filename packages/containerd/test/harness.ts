/** A containerd in this process on temporary roots, without any shim started. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Containerd, type ContainerdOptions } from '../src/containerd.ts';

export interface TestContainerd extends AsyncDisposable {
  readonly containerd: Containerd;
  readonly directory: string;
  close(): Promise<void>;
  /** Ends it, unless that was done, and opens it again on the same roots. */
  reopen(): Promise<Containerd>;
}

export async function openContainerd(): Promise<TestContainerd> {
  const directory = mkdtempSync(join(tmpdir(), 'boxship-containerd-'));
  const options: ContainerdOptions = {
    root: join(directory, 'root'),
    state: join(directory, 'state'),
    address: join(directory, 'containerd.sock'),
    shim: join(directory, 'no-shim'),
  };
  let containerd = await Containerd.open(options);
  return {
    get containerd() {
      return containerd;
    },
    directory,
    close: async () => await containerd[Symbol.asyncDispose](),
    async reopen() {
      await containerd[Symbol.asyncDispose]();
      containerd = await Containerd.open(options);
      return containerd;
    },
    async [Symbol.asyncDispose]() {
      await containerd[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
