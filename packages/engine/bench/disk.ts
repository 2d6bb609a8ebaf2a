/**
 * A disk of its own for each engine: ext4 with its journal in a file. On one that is shared, whoever syncs waits for what the other
 * one has written, and an ext4 without a journal, as machines of clouds have it, takes 0.1 ms to find an inode among those that
 * the round before has freed.
 */
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SandboxHost } from '../test/harness/sandbox-host.ts';

const size = '16G';

/** Everything below the host's directory lies there from now on. The host's end unmounts it, which frees the file. */
export function giveDisk(host: SandboxHost): void {
  const file = join(tmpdir(), `${host.name}.ext4`);
  const script =
    'truncate -s "$3" "$1" && mkfs.ext4 -q -E lazy_itable_init=0,nodiscard "$1" && mount -o loop "$1" "$2"; status=$?; rm -f "$1"; exit $status';
  execFileSync('sh', ['-c', script, 'sh', file, host.directory, size]);
}
