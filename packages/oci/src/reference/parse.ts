/** References exactly as written: the grammar without Docker's defaults. */
import { BoxshipError } from '@boxship/base';
import { type Digest, parseDigest } from '../digest.ts';
import { maxNameLength, maxReferenceLength, namePattern, referencePattern, tagPattern } from './grammar.ts';

/** The messages are printed by clients. */
export const referenceErrors = {
  format: 'invalid reference format',
  lowercase: 'invalid reference format: repository name must be lowercase',
  tooLong: `repository name must not be more than ${maxNameLength} characters`,
  empty: 'repository name must have at least one component',
  tag: 'invalid tag format',
} as const;

/** A parsed reference. `domain` is '' when none is written (never after normalisation). */
export interface Reference {
  /** Registry host with port: `docker.io`, `localhost:5000`. */
  readonly domain: string;
  /** Repository path within the registry: `library/busybox`. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

/** @throws invalidArgument */
export function parseReference(text: string): Reference {
  if (text === '') throw new BoxshipError('invalidArgument', referenceErrors.empty);
  const match = text.length > maxReferenceLength ? null : referencePattern.exec(text);
  if (match?.[1] === undefined) {
    const isCaseOnly = text.length <= maxReferenceLength && referencePattern.test(text.toLowerCase());
    throw new BoxshipError('invalidArgument', isCaseOnly ? referenceErrors.lowercase : referenceErrors.format);
  }
  const [, domain = '', path = ''] = namePattern.exec(match[1]) ?? [];
  if (path.length > maxNameLength) throw new BoxshipError('invalidArgument', referenceErrors.tooLong);
  return {
    domain,
    path,
    ...(match[2] === undefined ? {} : { tag: match[2] }),
    ...(match[3] === undefined ? {} : { digest: parseDigest(match[3]) }),
  };
}

/** `domain/path`, without tag and digest. */
export const repositoryName = (reference: Reference): string =>
  reference.domain === '' ? reference.path : `${reference.domain}/${reference.path}`;

/** The reference in full. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return `${repositoryName(reference)}${tag}${digest}`;
}

/** @throws invalidArgument */
export function withTag(reference: Reference, tag: string): Reference {
  if (!tagPattern.test(tag)) throw new BoxshipError('invalidArgument', referenceErrors.tag);
  const { digest: _, ...rest } = reference;
  return { ...rest, tag };
}

export function withDigest(reference: Reference, digest: Digest): Reference {
  const { tag: _, ...rest } = reference;
  return { ...rest, digest };
}

export function withoutTag(reference: Reference): Reference {
  return { domain: reference.domain, path: reference.path };
}
