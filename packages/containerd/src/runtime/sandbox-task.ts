/** Tasks of a sandbox: they are put into its shim, and found there again. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BoxshipError } from '@boxship/base';
import { type Bundle, readBundleFile } from './bundle.ts';
import type { RunningSandbox, SandboxManager } from './sandbox-manager.ts';
import { GroupShim, type Shim, SingleShim } from './shim.ts';

/** Which files of the bundle say so; `address` has the name that shims give it. */
const sandboxFile = 'sandbox';

/** The shim for a new task. @throws notFound when the sandbox is not running */
export async function joinSandbox(sandboxes: SandboxManager, bundle: Bundle, sandboxId: string): Promise<Shim> {
  const sandbox = sandboxes.get(bundle.namespace, sandboxId);
  writeFileSync(join(bundle.path, 'shim-binary-path'), sandbox.shim.binary, { mode: 0o600 });
  writeFileSync(join(bundle.path, sandboxFile), sandboxId, { mode: 0o600 });
  return await shimOf(sandbox);
}

/** The shim of a task whose client names an address, as sandboxers outside of containerd have one. */
export async function joinAddress(bundle: Bundle, binary: string, address: string): Promise<Shim> {
  const [, path] = /^ttrpc\+(unix:\/\/\/.+)$/.exec(address) ?? [];
  if (path === undefined)
    throw new BoxshipError('invalidArgument', `task API address ${address}: want ttrpc+unix:///path`);
  writeFileSync(join(bundle.path, 'shim-binary-path'), binary, { mode: 0o600 });
  writeFileSync(join(bundle.path, 'address'), path, { mode: 0o600 });
  writeFileSync(join(bundle.path, sandboxFile), '', { mode: 0o600 });
  return await SingleShim.share(binary, path);
}

/** Undefined for a task that has no sandbox. @throws notFound, unavailable when the sandbox is gone */
export async function rejoinSandbox(
  sandboxes: SandboxManager,
  bundle: Bundle,
  binary: string,
): Promise<Shim | undefined> {
  const sandboxId = readBundleFile(bundle.path, sandboxFile);
  if (sandboxId === undefined) return undefined;
  if (sandboxId !== '') return await shimOf(sandboxes.get(bundle.namespace, sandboxId));
  return await SingleShim.share(binary, readBundleFile(bundle.path, 'address') ?? '');
}

async function shimOf({ shim }: RunningSandbox): Promise<Shim> {
  return shim instanceof GroupShim ? shim : await SingleShim.share(shim.binary, shim.address);
}
