/** `since` and `until`: unix seconds with fraction, RFC 3339 (also partial), or a Go duration before now. */
import { BoxshipError, parseDurationNs } from '@boxship/base';
import { nowNs, parseTimeNs } from '../clock.ts';

/** Nanoseconds since 1970; undefined when absent or 0. @throws invalidArgument */
export function parseInstant(text: string, now: bigint = nowNs()): bigint | undefined {
  if (text === '' || text === '0') return undefined;
  const [, seconds, fraction = ''] = /^(-?\d{1,12})(?:\.(\d{1,9}))?$/.exec(text) ?? [];
  if (seconds !== undefined) return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'));
  if (/^\d{4}-\d\d-\d\d/.test(text)) {
    const full = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text);
    if (full) return parseTimeNs(text);
    const ms = Date.parse(text.length === 10 ? `${text}T00:00:00` : text);
    if (!Number.isNaN(ms)) return BigInt(ms) * 1_000_000n;
  }
  try {
    return now - BigInt(parseDurationNs(text));
  } catch (error) {
    throw new BoxshipError('invalidArgument', `failed to parse value as time or duration: "${text}"`, { cause: error });
  }
}
