/** Prefix arithmetic for both families on big integers. Separate from IPAM: routes and firewall need it too. */
import { BoxshipError } from '@boxship/base';
import { addressToBytes, bytesToAddress } from '@boxship/linux';

/** A network prefix; `address` has no host bits. */
export interface Prefix {
  readonly family: 4 | 6;
  readonly address: bigint;
  readonly length: number;
}

const bitsOf = (family: 4 | 6): number => (family === 4 ? 32 : 128);
const familyOf = (text: string): 4 | 6 => (text.includes(':') ? 6 : 4);

export function addressToNumber(text: string): bigint {
  return BigInt(`0x${addressToBytes(text).toString('hex')}`);
}

export function numberToAddress(value: bigint, family: 4 | 6): string {
  return bytesToAddress(Buffer.from(value.toString(16).padStart(family === 4 ? 8 : 32, '0'), 'hex'));
}

const maskOf = (family: 4 | 6, length: number): bigint => {
  const bits = BigInt(bitsOf(family));
  return ((1n << BigInt(length)) - 1n) << (bits - BigInt(length));
};

/** Parses `address/length`; host bits are cut off. @throws invalidArgument with Go's text, as Docker prints it */
export function parsePrefix(text: string): Prefix {
  const match = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(text);
  const [, address, lengthText] = match ?? [];
  const invalid = (): never => {
    throw new BoxshipError('invalidArgument', `invalid CIDR address: ${text}`);
  };
  if (address === undefined || lengthText === undefined) return invalid();
  const family = familyOf(address);
  const length = Number(lengthText);
  if (length > bitsOf(family)) return invalid();
  let number: bigint;
  try {
    number = addressToNumber(address);
  } catch {
    return invalid(); // one text for every malformed address
  }
  return { family, address: number & maskOf(family, length), length };
}

export function formatPrefix(prefix: Prefix): string {
  return `${numberToAddress(prefix.address, prefix.family)}/${prefix.length}`;
}

export const firstOf = (prefix: Prefix): bigint => prefix.address;

export const lastOf = (prefix: Prefix): bigint =>
  prefix.address + (1n << BigInt(bitsOf(prefix.family) - prefix.length)) - 1n;

export function doOverlap(a: Prefix, b: Prefix): boolean {
  return a.family === b.family && firstOf(a) <= lastOf(b) && firstOf(b) <= lastOf(a);
}

export function isInside(address: string, prefix: Prefix): boolean {
  if (familyOf(address) !== prefix.family) return false;
  const number = addressToNumber(address);
  return number >= firstOf(prefix) && number <= lastOf(prefix);
}

/** The i-th subnet of `length` bits inside of a pool; undefined beyond its end. */
export function subnetAt(pool: Prefix, length: number, index: number): Prefix | undefined {
  if (length < pool.length || BigInt(index) >= 1n << BigInt(length - pool.length)) return undefined;
  const size = 1n << BigInt(bitsOf(pool.family) - length);
  return { family: pool.family, address: pool.address + BigInt(index) * size, length };
}

/** The broadcast address of an IPv4 prefix with at least four addresses. */
export function broadcastOf(prefix: Prefix): string | undefined {
  return prefix.family === 4 && prefix.length <= 30 ? numberToAddress(lastOf(prefix), 4) : undefined;
}
