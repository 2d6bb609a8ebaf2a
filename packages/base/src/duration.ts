/** Go's duration notation: `1h15m30.5s`, `100ms`. */
import { BoxshipError } from './errors.ts';

const unitsNs: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Nanoseconds of a Go duration. @throws invalidArgument with Go's own text */
export function parseDurationNs(text: string): number {
  const body = text.replace(/^[-+]/, '');
  if (body === '0') return 0;
  if (body === '') throw new BoxshipError('invalidArgument', `time: invalid duration ${JSON.stringify(text)}`);
  let total = 0;
  let rest = body;
  while (rest !== '') {
    const match = /^(\d+\.?\d*|\.\d+)([a-zµμ]*)/.exec(rest);
    if (match === null) throw new BoxshipError('invalidArgument', `time: invalid duration ${JSON.stringify(text)}`);
    const [whole, amount = '', unit = ''] = match;
    if (unit === '')
      throw new BoxshipError('invalidArgument', `time: missing unit in duration ${JSON.stringify(text)}`);
    const factor = unitsNs[unit];
    if (factor === undefined)
      throw new BoxshipError('invalidArgument', `time: unknown unit "${unit}" in duration ${JSON.stringify(text)}`);
    total += Number(amount) * factor;
    rest = rest.slice(whole.length);
  }
  return Math.round(text.startsWith('-') ? -total : total);
}

/** A duration in Go's notation, as `time.Duration.String` prints it. */
export function formatDurationNs(ns: number): string {
  if (ns === 0) return '0s';
  const sign = ns < 0 ? '-' : '';
  const abs = Math.abs(ns);
  if (abs < 1e3) return `${sign}${abs}ns`;
  if (abs < 1e6) return `${sign}${abs / 1e3}µs`;
  if (abs < 1e9) return `${sign}${abs / 1e6}ms`;
  const hours = Math.floor(abs / 3600e9);
  const minutes = Math.floor((abs % 3600e9) / 60e9);
  const seconds = Number(((abs % 60e9) / 1e9).toFixed(9));
  return `${sign}${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${seconds}s`;
}
