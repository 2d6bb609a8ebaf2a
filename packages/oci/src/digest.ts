/**
 * Content digests, `algorithm:hex`. A {@link Digest} is a string that has passed {@link parseDigest}: it is safe in a path
 * and in a URL. Nothing else in the project builds a digest.
 */
import { createHash, type Hash } from 'node:crypto';
import { BoxshipError } from '@boxship/base';

declare const digestBrand: unique symbol;
export type Digest = string & { readonly [digestBrand]: true };
export type DigestAlgorithm = 'sha256' | 'sha512';

const hexLengths: Readonly<Record<DigestAlgorithm, number>> = { sha256: 64, sha512: 128 };

export function isDigest(text: unknown): text is Digest {
  if (typeof text !== 'string') return false;
  const match = /^(sha256|sha512):([0-9a-f]+)$/.exec(text);
  return match?.[2] !== undefined && match[2].length === hexLengths[match[1] as DigestAlgorithm];
}

/** @throws invalidArgument for another shape, case or algorithm (those could not be verified) */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  const algorithm = text.split(':', 1)[0] ?? '';
  if (!text.includes(':')) throw new BoxshipError('invalidArgument', `invalid checksum digest format: ${quote(text)}`);
  if (!(algorithm in hexLengths))
    throw new BoxshipError(
      'invalidArgument',
      `unsupported digest algorithm: ${quote(text)}: only sha256 and sha512 are verified`,
    );
  if (text.length !== algorithm.length + 1 + hexLengths[algorithm as DigestAlgorithm])
    throw new BoxshipError('invalidArgument', `invalid checksum digest length: ${quote(text)}`);
  throw new BoxshipError('invalidArgument', `invalid checksum digest format: ${quote(text)}`);
}

const quote = (text: string): string => JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);

export const digestAlgorithm = (digest: Digest): DigestAlgorithm =>
  digest.slice(0, digest.indexOf(':')) as DigestAlgorithm;
export const digestHex = (digest: Digest): string => digest.slice(digest.indexOf(':') + 1);
/** The 12 digits that Docker shows for a layer or an image. */
export const shortDigest = (digest: Digest): string => digestHex(digest).slice(0, 12);

export function digestOf(bytes: string | Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest;
}

/** Computes a digest while bytes pass by, and counts them. */
export class Digester {
  readonly algorithm: DigestAlgorithm;
  #hash: Hash;
  #size = 0;

  constructor(algorithm: DigestAlgorithm = 'sha256') {
    this.algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

  /** Bytes seen so far. */
  get size(): number {
    return this.#size;
  }

  update(bytes: Uint8Array): this {
    this.#hash.update(bytes);
    this.#size += bytes.length;
    return this;
  }

  /** The digest of the bytes so far; more may follow. */
  digest(): Digest {
    return `${this.algorithm}:${this.#hash.copy().digest('hex')}` as Digest;
  }
}
