/** The `X-Registry-Auth` header as credentials for the registry client. */
import type { RegistryAuth } from '@boxship/engine-api';
import type { RegistryCredentials } from '@boxship/image-store';

/** Undefined when the header is missing, empty or not readable: Docker then asks without credentials. */
export function credentialsOf(header: string | string[] | undefined): RegistryCredentials | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  if (text === undefined || text === '') return undefined;
  let auth: RegistryAuth;
  try {
    auth = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as RegistryAuth;
  } catch {
    return undefined;
  }
  const { username, password, identitytoken, registrytoken } = auth;
  if (registrytoken) return { registryToken: registrytoken };
  if (identitytoken) return { identityToken: identitytoken };
  return username ? { username, password: password ?? '' } : undefined;
}
