/** Wall-clock times as the Engine API writes them. */
import { nowTimestamp, toRfc3339, toTimestamp } from '@boxship/api';

export const zeroTime = '0001-01-01T00:00:00Z';

/** RFC 3339 with nanoseconds, trailing zeros trimmed. */
export const nowRfc3339 = (): string => toRfc3339(nowTimestamp());

/** Nanoseconds since 1970. */
export function nowNs(): bigint {
  const { seconds, nanos } = nowTimestamp();
  return seconds * 1_000_000_000n + BigInt(nanos);
}

/** RFC 3339 of nanoseconds since 1970. */
export const formatTimeNs = (ns: bigint): string => toRfc3339(toTimestamp(ns));

/** Milliseconds since 1970 of an RFC 3339 text; NaN for the zero time. */
export const parseTimeMs = (text: string): number => (text === zeroTime ? Number.NaN : Date.parse(text));

/** Nanoseconds since 1970; digits beyond milliseconds are kept. */
export function parseTimeNs(text: string): bigint {
  const [, head = '', fraction = '', zone = 'Z'] = /^(.{19})(?:\.(\d{1,9}))?\d*(Z|[+-]\d\d:\d\d)$/.exec(text) ?? [];
  return BigInt(Date.parse(`${head}${zone}`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}
