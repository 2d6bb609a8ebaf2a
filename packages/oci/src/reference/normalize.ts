/**
 * Docker's familiar names: `busybox` stands for `docker.io/library/busybox:latest`. Both directions, and nothing else, live
 * here; the grammar does not know of docker.io.
 */
import { BoxshipError } from '@boxship/base';
import { identifierPattern } from './grammar.ts';
import { formatReference, parseReference, type Reference, referenceErrors, repositoryName } from './parse.ts';

export const defaultDomain = 'docker.io';
const legacyDomain = 'index.docker.io';
const officialPrefix = 'library/';
export const defaultTag = 'latest';

/** Splits off the first component if it is a host: it has a dot, a colon, a capital, or is `localhost`. */
function splitDomain(text: string): [domain: string, rest: string] {
  const slash = text.indexOf('/');
  const first = text.slice(0, slash);
  const isDomain = slash >= 0 && (/[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first);
  const [domain, rest] = isDomain ? [first, text.slice(slash + 1)] : [defaultDomain, text];
  const canonical = domain === legacyDomain ? defaultDomain : domain;
  return [canonical, canonical === defaultDomain && !rest.includes('/') ? officialPrefix + rest : rest];
}

/**
 * Parses a reference as Docker's users write it; the result always has a domain.
 * @throws invalidArgument in Docker's words
 */
export function parseNormalizedNamed(text: string): Reference {
  if (identifierPattern.test(text))
    throw new BoxshipError(
      'invalidArgument',
      `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`,
    );
  const [domain, rest] = splitDomain(text);
  const nameEnd = rest.search(/[:@]/);
  const path = nameEnd < 0 ? rest : rest.slice(0, nameEnd);
  if (path.toLowerCase() !== path) throw new BoxshipError('invalidArgument', referenceErrors.lowercase);
  if (rest === '' || rest === officialPrefix) throw new BoxshipError('invalidArgument', referenceErrors.format);
  const reference = parseReference(`${domain}/${rest}`);
  // A domain that the grammar took for a path component would be a different repository.
  if (reference.domain !== domain) throw new BoxshipError('invalidArgument', referenceErrors.format);
  return reference;
}

/** The reference with tag `latest` if it has neither tag nor digest. */
export function tagNameOnly(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: defaultTag } : reference;
}

/** The short repository name that Docker shows: `busybox` for `docker.io/library/busybox`. */
export function familiarName(reference: Reference): string {
  if (reference.domain !== defaultDomain) return repositoryName(reference);
  const rest = reference.path.startsWith(officialPrefix) ? reference.path.slice(officialPrefix.length) : reference.path;
  const short = rest.includes('/') || rest === '' ? reference.path : rest;
  // `docker.io/some.org/x` would be read back as another registry.
  return splitDomain(short)[0] === defaultDomain ? short : repositoryName(reference);
}

/** The short reference that Docker shows: `busybox:1.36`. */
export function familiarString(reference: Reference): string {
  return formatReference({ ...reference, domain: '', path: familiarName(reference) });
}
