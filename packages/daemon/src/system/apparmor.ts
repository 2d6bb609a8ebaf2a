/** The AppArmor profile of containers that name none: loaded into the kernel at each start of the daemon. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { type Logger, withDeadline } from '@boxship/base';
import { defaultProfileName, defaultProfileText } from './apparmor-profile.ts';

const loader = 'apparmor_parser';
const timeoutMs = 30_000;

/** Gives the name; undefined, with a warning in the log, when it cannot be loaded: containers then run without. */
export async function loadDefaultProfile(log: Logger): Promise<string | undefined> {
  try {
    await withDeadline({ component: 'daemon', operation: `start of ${loader}`, timeoutMs }, load);
    return defaultProfileName;
  } catch (error) {
    log.warn('containers run without an AppArmor profile: the default one could not be loaded', {
      error,
      hint: `install ${loader} (package apparmor)`,
    });
    return undefined;
  }
}

async function load(): Promise<void> {
  // the profile comes by standard input; a cache on disk would outlive it
  const child = spawn(loader, ['--replace', '--skip-cache'], { stdio: ['pipe', 'ignore', 'pipe'] });
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject);
  child.once('close', resolve);
  child.stdin.on('error', () => {}); // its exit code tells why it did not read
  child.stdin.end(defaultProfileText);
  const [code, said] = await Promise.all([promise, text(child.stderr)]);
  if (code !== 0) throw new Error(`${loader} ended with ${code}: ${said.trim()}`);
}
