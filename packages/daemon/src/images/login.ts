/** `POST /auth`: whether credentials are good. */
import { BoxshipError } from '@boxship/base';
import type { AuthRequest, AuthResponse } from '@boxship/engine-api';
import { checkLogin } from '@boxship/image-store';
import type { Parts } from '../parts.ts';
import { credentialsOf, lookupFor, openRegistry } from './registry-access.ts';

/** @throws unauthenticated, unavailable */
export async function login(parts: Parts, request: AuthRequest): Promise<AuthResponse> {
  const address = (request.serveraddress ?? '').replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  const domain = address === '' || address === 'index.docker.io' ? 'docker.io' : address;
  if (credentialsOf(request) === undefined)
    throw new BoxshipError('invalidArgument', 'username and password are required');
  await using registry = openRegistry(parts.config, parts.log, lookupFor(domain, request));
  await checkLogin(registry, domain);
  return { IdentityToken: '', Status: 'Login Succeeded' };
}
