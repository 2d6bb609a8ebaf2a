/**
 * Times with nanoseconds. Go's zero time travels as year 1 (`seconds = -62135596800`), and means "not set": it is what
 * clients send for times that the server fills in, and what a server sends for "not exited".
 */
import type { Timestamp } from './gen/google/protobuf/timestamp.ts';

const zeroSeconds = -62_135_596_800n;

export const goZeroTime = (): Timestamp => ({ seconds: zeroSeconds, nanos: 0 });

export function isZeroTime(time: Timestamp | undefined): boolean {
  return time === undefined || time.seconds === zeroSeconds || (time.seconds === 0n && time.nanos === 0);
}

/** Wall-clock nanoseconds since 1970. */
export function fromTimestamp(time: Timestamp): bigint {
  return time.seconds * 1_000_000_000n + BigInt(time.nanos);
}

export function toTimestamp(ns: bigint): Timestamp {
  return { seconds: ns / 1_000_000_000n, nanos: Number(ns % 1_000_000_000n) };
}

// performance.now() has sub-millisecond digits, Date.now() has not
const nowNs = (): bigint => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;

export const nowTimestamp = (): Timestamp => toTimestamp(nowNs());

/** RFC 3339 in UTC, nanoseconds without trailing zeros, as Go prints it; year 1 for the zero time. */
export function toRfc3339(time: Timestamp | undefined): string {
  if (time === undefined || isZeroTime(time)) return '0001-01-01T00:00:00Z';
  const whole = new Date(Number(time.seconds) * 1000).toISOString().slice(0, 19);
  const fraction = String(time.nanos).padStart(9, '0').replace(/0+$/, '');
  return fraction === '' ? `${whole}Z` : `${whole}.${fraction}Z`;
}
