/** Runs the program that a pool is managed with. Its words tell the kind of a failure. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { BoxshipError, type ErrorKind, messageOf } from '@boxship/base';

const timeoutMs = 120_000;

/** @throws a failure of the first kind whose pattern matches what the program said, else internal */
export async function runTool(
  program: string,
  args: readonly string[],
  kinds: readonly (readonly [RegExp, ErrorKind])[] = [],
): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, args, { timeout: timeoutMs });
    return stdout;
  } catch (cause) {
    const { stderr = '' } = cause as { stderr?: string };
    const text = stderr.trim() === '' ? messageOf(cause) : stderr.trim();
    const [, kind] = kinds.find(([pattern]) => pattern.test(text)) ?? [undefined, 'internal' as const];
    throw new BoxshipError(kind, `${program} ${args.join(' ')}: ${text}`, { cause });
  }
}
