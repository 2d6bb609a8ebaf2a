/** `docker login`: whether credentials are good, and the refresh token that a registry may give instead of keeping them. */
import { BoxshipError } from '@boxship/base';
import type { Registry } from './registry.ts';

/** @throws unauthenticated (wrong credentials), unavailable */
export async function checkLogin(
  registry: Registry,
  domain: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const [session] = (await registry.sessions(domain, 'pull')).slice(-1);
  if (session === undefined) throw new BoxshipError('notFound', `no host for ${domain}`);
  const answer = await session.request({ method: 'GET', path: '/', scopes: [], signal: options.signal }, [401]);
  await answer.discard();
  if (answer.status === 401)
    throw new BoxshipError(
      'unauthenticated',
      `login attempt to ${session.host.scheme}://${session.host.host}/v2/ failed with status: 401 Unauthorized`,
    );
}
