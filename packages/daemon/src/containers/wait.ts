/** `wait`: the next exit, the end of running, or the removal. */
import { BoxshipError } from '@boxship/base';
import type { Container } from './model.ts';
import type { ExitResult, WaitCondition } from './waiters.ts';

/** @throws invalidArgument */
export function parseWaitCondition(text: string): WaitCondition {
  if (text === '' || text === 'not-running') return 'not-running';
  if (text === 'next-exit' || text === 'removed') return text;
  throw new BoxshipError('invalidArgument', `invalid condition: "${text}"`);
}

export async function waitContainer(
  container: Container,
  condition: WaitCondition,
  signal: AbortSignal,
): Promise<ExitResult> {
  const { state } = container.record;
  if (condition === 'not-running' && !state.Running) return { exitCode: state.ExitCode };
  return await container.waiters.wait(condition === 'removed' ? 'removed' : 'exit', signal);
}
