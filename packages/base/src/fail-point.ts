/**
 * Named points at which a test makes a process die, stop, fail or wait: `BOXSHIP_FP=start.runc-created=kill@2`.
 * Honoured only with `BOXSHIP_TEST=1`; otherwise a call costs one comparison.
 */
import { BoxshipError } from './errors.ts';

interface Armed {
  readonly action: string;
  remaining: number;
}

const armed = new Map<string, Armed>();
if (process.env['BOXSHIP_TEST'] === '1') {
  for (const term of (process.env['BOXSHIP_FP'] ?? '').split(',').filter((t) => t !== '')) {
    const match = /^([^=]+)=([^@]+)(?:@(\d+))?$/.exec(term);
    if (match?.[1] !== undefined && match[2] !== undefined)
      armed.set(match[1], { action: match[2], remaining: Number(match[3] ?? 1) });
  }
}

/** Passes the point `name`; does what a test has armed there. */
export async function failPoint(name: string): Promise<void> {
  if (armed.size === 0) return;
  const point = armed.get(name);
  if (point === undefined || --point.remaining !== 0) return;
  const [verb, argument = ''] = point.action.split(':');
  if (verb === 'kill') process.kill(process.pid, 'SIGKILL');
  else if (verb === 'stop') process.kill(process.pid, 'SIGSTOP');
  else if (verb === 'delay') await new Promise((resolve) => setTimeout(resolve, Number(argument)));
  else throw new BoxshipError('internal', `fail point ${name}: ${argument || verb}`, { details: { code: argument } });
}
