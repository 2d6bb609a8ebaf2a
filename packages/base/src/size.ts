/** Sizes as Docker reads and prints them: read binary (1k = 1024), printed decimal (1kB = 1000) or binary (1KiB). */
import { BoxshipError } from './errors.ts';

const suffixes = ['b', 'k', 'm', 'g', 't', 'p'];

/** Bytes of `512m`, `1.5GiB`, `100`; every suffix is a power of 1024. @throws invalidArgument */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp])?(?:i?b)?$/i.exec(text.trim());
  const amount = match?.[1];
  if (amount === undefined) throw new BoxshipError('invalidArgument', `invalid size: '${text}'`);
  return Math.floor(Number(amount) * 1024 ** suffixes.indexOf((match?.[2] ?? 'b').toLowerCase()));
}

/** `1.984MB`: decimal units, `digits` significant figures (4, or 3 in the list of images). */
export function formatSize(bytes: number, digits = 4): string {
  return format(bytes, 1000, ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'], digits);
}

/** `23.54GiB`: binary units, four significant figures. */
export function formatBinarySize(bytes: number): string {
  return format(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'], 4);
}

function format(bytes: number, base: number, units: readonly string[], digits: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit++;
  }
  return `${Number(value.toPrecision(digits))}${units[unit]}`;
}
