/** The API version of a request: `/v1.41/…` or the newest. Refusals in Docker's words. */
import { BoxshipError } from '@boxship/base';
import {
  compareApiVersions,
  isApiVersion,
  lowestAcceptedApiVersion,
  maxApiVersion,
  minApiVersion,
} from '@boxship/engine-api';

/** Path without the version prefix, and the version if there is one. */
export function splitVersion(url: string): { readonly path: string; readonly version: string | undefined } {
  const [, version, path] = /^\/v([0-9.]+)(\/.*)$/.exec(url) ?? [];
  return version === undefined || path === undefined ? { path: url, version: undefined } : { path, version };
}

/** The version whose semantics the request gets. @throws invalidArgument */
export function effectiveVersion(version: string | undefined): string {
  if (version === undefined) return maxApiVersion;
  if (!isApiVersion(version)) throw new BoxshipError('invalidArgument', `invalid API version: ${version}`);
  if (compareApiVersions(version, maxApiVersion) > 0)
    throw new BoxshipError(
      'invalidArgument',
      `client version ${version} is too new. Maximum supported API version is ${maxApiVersion}`,
    );
  if (compareApiVersions(version, lowestAcceptedApiVersion) < 0)
    throw new BoxshipError(
      'invalidArgument',
      `client version ${version} is too old. Minimum supported API version is ${minApiVersion}, please upgrade your client to a newer version`,
    );
  return compareApiVersions(version, minApiVersion) < 0 ? minApiVersion : version;
}
