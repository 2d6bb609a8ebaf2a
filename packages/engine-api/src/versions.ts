/** Versions of the Engine API: what we serve, and comparison. A version is `major.minor`; only 1.x exists. */
export const maxApiVersion = '1.50';
/** Announced minimum. Requests from 1.22 on are accepted and get the semantics of 1.24. */
export const minApiVersion = '1.24';
export const lowestAcceptedApiVersion = '1.22';
/** What a server that announces nothing speaks. */
export const fallbackApiVersion = '1.24';

const pattern = /^(\d{1,4})\.(\d{1,4})$/;

export function isApiVersion(text: string): boolean {
  return pattern.test(text);
}

/** Negative, zero or positive, as for `Array.sort`. Malformed versions compare as 0.0. */
export function compareApiVersions(a: string, b: string): number {
  const [, majorA = '0', minorA = '0'] = pattern.exec(a) ?? [];
  const [, majorB = '0', minorB = '0'] = pattern.exec(b) ?? [];
  return Number(majorA) - Number(majorB) || Number(minorA) - Number(minorB);
}

/** True if `version` has what came with `since`. */
export const apiAtLeast = (version: string, since: string): boolean => compareApiVersions(version, since) >= 0;

/** The version that a client and a server both speak: the smaller of the two maxima. */
export function negotiateApiVersion(announced: string | undefined, clientMax: string = maxApiVersion): string {
  const server = announced === undefined || !isApiVersion(announced) ? fallbackApiVersion : announced;
  return compareApiVersions(server, clientMax) < 0 ? server : clientMax;
}
