/** How the daemon talks to registries: its configured hosts, and the credentials that came with a request. */
import { BoxshipError, type Logger } from '@boxship/base';
import type { RegistryAuth } from '@boxship/engine-api';
import { type CredentialLookup, configureHosts, Registry, type RegistryCredentials } from '@boxship/image-store';
import type { DaemonConfig } from '../config.ts';
import { product } from '../product.ts';

const maxHeaderBytes = 64 * 1024;

/** `X-Registry-Auth`: base64 of JSON, url-safe or not. What cannot be read counts as none, as with Docker. */
export function decodeRegistryAuth(header: string | string[] | undefined): RegistryAuth | undefined {
  const encoded = Array.isArray(header) ? header[0] : header;
  if (encoded === undefined || encoded === '' || encoded.length > maxHeaderBytes) return undefined;
  try {
    const auth = JSON.parse(Buffer.from(encoded, 'base64').toString('utf8')) as RegistryAuth;
    return typeof auth === 'object' && auth !== null ? auth : undefined;
  } catch {
    return undefined;
  }
}

export function credentialsOf(auth: RegistryAuth | undefined): RegistryCredentials | undefined {
  if (auth === undefined) return undefined;
  const { username, password, identitytoken, registrytoken } = auth;
  const credentials = {
    ...(username ? { username } : {}),
    ...(password ? { password } : {}),
    ...(identitytoken ? { identityToken: identitytoken } : {}),
    ...(registrytoken ? { registryToken: registrytoken } : {}),
  };
  return Object.keys(credentials).length === 0 ? undefined : credentials;
}

/** The credentials belong to the registry of the request; a mirror or a redirect target never gets them. */
export function lookupFor(domain: string, auth: RegistryAuth | undefined): CredentialLookup {
  const credentials = credentialsOf(auth);
  const own = domain === 'docker.io' ? 'registry-1.docker.io' : domain;
  return async (host) => (host === own ? credentials : undefined);
}

export function openRegistry(config: DaemonConfig, log: Logger, credentials: CredentialLookup): Registry {
  return new Registry({
    hosts: configureHosts({
      insecureRegistries: config.insecureRegistries,
      mirrors: config.registryMirrors,
      certsDirectories: ['/etc/docker/certs.d'],
    }),
    credentials,
    userAgent: `docker/${product.version} boxship/${product.own}`,
    log,
  });
}

/** Text of a failed pull or push as Docker words it. */
export function registryFailure(error: unknown, reference: string): BoxshipError {
  const known = BoxshipError.from(error);
  if (known.kind === 'notFound' && /manifest unknown/.test(known.message) && !known.message.startsWith('manifest for'))
    return new BoxshipError('notFound', `manifest for ${reference} not found: ${known.message}`, { cause: error });
  // the client's own login is not at stake: Docker answers 404 or 500, never 401 for a pull
  if (known.kind === 'unauthenticated' || known.kind === 'permissionDenied')
    return new BoxshipError('notFound', known.message, { cause: error });
  return known.kind === 'unavailable' ? new BoxshipError('unknown', known.message, { cause: error }) : known;
}
