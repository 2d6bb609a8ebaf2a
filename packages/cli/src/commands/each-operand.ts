/** Commands over several objects: each is tried, what worked is printed, failures are reported, any failure makes the code 1. */
import { BoxshipError, messageOf } from '@boxship/base';
import type { CommandContext } from '../command.ts';

export async function eachOperand(
  context: CommandContext,
  operands: readonly string[],
  work: (name: string) => Promise<string | undefined>,
  summary?: string,
): Promise<number> {
  const failed: string[] = [];
  for (const name of operands) {
    try {
      const line = await work(name);
      if (line !== undefined) context.print(line);
    } catch (error) {
      context.warn(daemonError(error));
      failed.push(name);
    }
  }
  if (failed.length > 0 && summary !== undefined) context.warn(`${summary}: ${failed.join(', ')}`);
  return failed.length === 0 ? 0 : 1;
}

/** A failure as docker shows it: the daemon's words are marked as such. */
export function daemonError(error: unknown): string {
  const isDaemons = BoxshipError.is(error) && error.details['status'] !== undefined;
  return isDaemons ? `Error response from daemon: ${messageOf(error)}` : messageOf(error);
}
