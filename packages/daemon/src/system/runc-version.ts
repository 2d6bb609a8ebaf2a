/** What the OCI runtime calls itself; asked once, off every container's path. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { DaemonConfig } from '../config.ts';

export interface RuncVersion {
  readonly version: string;
  readonly commit: string;
}

const run = promisify(execFile);
const timeoutMs = 5000;
let known: Promise<RuncVersion> | undefined;

export function runcVersion(config: DaemonConfig): Promise<RuncVersion> {
  known ??= ask(config.runtimes[config.defaultRuntime] ?? 'runc');
  return known;
}

async function ask(binary: string): Promise<RuncVersion> {
  try {
    const { stdout } = await run(binary, ['--version'], { timeout: timeoutMs });
    return {
      version: /version (\S+)/.exec(stdout)?.[1] ?? 'unknown',
      commit: /commit: (\S+)/.exec(stdout)?.[1] ?? 'unknown',
    };
  } catch {
    return { version: 'unknown', commit: 'unknown' }; // a missing runtime is reported by the first start
  }
}
