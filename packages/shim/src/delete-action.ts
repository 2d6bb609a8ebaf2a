/**
 * The action `delete`: containerd calls it whenever the connection to a shim ends, also after a clean end. Removes what is
 * left of one container; must work with half a bundle and for any id beside the working directory. Standard output carries
 * the answer and nothing else.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { shimTask, toTimestamp } from '@boxship/api';
import { Runc } from '@boxship/runc-wrapper';
import type { ShimArguments } from './arguments.ts';
import { nowNs } from './task/exit.ts';
import { readExit, readRecord, removeRecord } from './task/record.ts';

const KILLED = 137;
const DEFAULT_ROOT = '/run/containerd/runc';

/** Gives the encoded DeleteResponse. */
export async function cleanUp(args: ShimArguments): Promise<Uint8Array> {
  const bundle = args.bundle === '' ? join(dirname(process.cwd()), args.id) : args.bundle;
  const record = readRecord(bundle);
  const root = record?.runtime.root ?? join(DEFAULT_ROOT, args.namespace);
  if (existsSync(join(root, args.id))) {
    const runtime = new Runc({
      binary: record?.runtime.binary ?? 'runc',
      root,
      isSystemdCgroup: record?.runtime.isSystemdCgroup ?? false,
      logDirectory: existsSync(bundle) ? bundle : '/tmp',
    });
    await runtime.delete(args.id, { isForced: true, timeoutMs: 4000 });
  }
  const rootfs = join(bundle, 'rootfs');
  // the library for mounts is loaded only when there is one: the usual call finds nothing and is to be quick
  if (readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${rootfs}`))
    (await import('@boxship/linux')).unmountAll(rootfs);
  const exit = readExit(bundle, '');
  removeRecord(bundle);
  const response = {
    pid: exit?.pid ?? initPid(bundle),
    exitStatus: exit?.exitStatus ?? KILLED,
    exitedAt: toTimestamp(exit === undefined ? nowNs() : BigInt(exit.exitedAt)),
  };
  return shimTask.DeleteResponse.encode(response).finish();
}

function initPid(bundle: string): number {
  try {
    return Number(readFileSync(join(bundle, 'init.pid'), 'latin1').trim()) || 0;
  } catch {
    return 0; // never created
  }
}
