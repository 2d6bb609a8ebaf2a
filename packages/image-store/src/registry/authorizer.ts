/**
 * Answers a registry's challenge: Basic, or Bearer with a token fetched from the realm that the challenge names (Docker's
 * token authentication). Credentials belong to the registry they were given for: a realm elsewhere does not get them.
 */
import { BoxshipError, type Logger } from '@boxship/base';
import { type Challenge, parseChallenges } from './challenge.ts';
import { registryError } from './errors.ts';
import { hostName, isLoopbackHost, type RegistryHost } from './hosts.ts';
import { type HttpTransport, isInnerAddress } from './transport.ts';

/** What a user has for a registry, as in `X-Registry-Auth`. */
export interface RegistryCredentials {
  readonly username?: string;
  readonly password?: string;
  /** An OAuth refresh token (`docker login` of some registries). */
  readonly identityToken?: string;
  /** A ready bearer token. */
  readonly registryToken?: string;
}

export type CredentialLookup = (host: string) => Promise<RegistryCredentials | undefined>;

interface Token {
  readonly value: string;
  readonly expiresAtMs: number;
}

const maxTokenBytes = 1024 * 1024;
const defaultLifetimeSeconds = 60;

export class Authorizer {
  readonly #transport: HttpTransport;
  readonly #credentials: CredentialLookup;
  readonly #log: Logger;
  readonly #challenges = new Map<string, Challenge>();
  readonly #tokens = new Map<string, Promise<Token>>();

  constructor(transport: HttpTransport, credentials: CredentialLookup, log: Logger) {
    this.#transport = transport;
    this.#credentials = credentials;
    this.#log = log;
  }

  /** The header for a request, if the host has asked for one before. @throws unauthenticated and what the realm says */
  async header(host: RegistryHost, scopes: readonly string[], signal?: AbortSignal): Promise<string | undefined> {
    const credentials = await this.#credentials(host.host);
    if (credentials?.registryToken) return `Bearer ${credentials.registryToken}`;
    const challenge = this.#challenges.get(host.host);
    if (challenge === undefined) return undefined;
    if (challenge.scheme === 'basic') return basic(credentials);
    return `Bearer ${await this.#token(host, challenge, scopes, credentials, signal)}`;
  }

  /** Takes note of a 401. False when trying again cannot help. @throws unauthenticated without credentials for Basic */
  async challenged(host: RegistryHost, header: string | undefined, scopes: readonly string[]): Promise<boolean> {
    const challenges = parseChallenges(header ?? '');
    const challenge =
      challenges.find(({ scheme }) => scheme === 'bearer') ?? challenges.find(({ scheme }) => scheme === 'basic');
    if (challenge === undefined) return false;
    const before = this.#challenges.get(host.host);
    this.#challenges.set(host.host, challenge);
    const credentials = await this.#credentials(host.host);
    if (credentials?.registryToken) return false;
    if (challenge.scheme === 'basic') {
      if (basic(credentials) === undefined) throw new BoxshipError('unauthenticated', 'no basic auth credentials');
      return before?.scheme !== 'basic';
    }
    // A token that was good may have run out: get another one.
    this.#tokens.delete(tokenKey(challenge, scopes, credentials));
    return true;
  }

  async #token(
    host: RegistryHost,
    challenge: Challenge,
    scopes: readonly string[],
    credentials: RegistryCredentials | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const key = tokenKey(challenge, scopes, credentials);
    const known = await this.#tokens.get(key)?.catch(() => undefined);
    if (known !== undefined && known.expiresAtMs > Date.now()) return known.value;
    const fetching = this.#fetchToken(host, challenge, scopes, credentials, signal);
    this.#tokens.set(key, fetching);
    return (await fetching).value;
  }

  async #fetchToken(
    host: RegistryHost,
    { parameters }: Challenge,
    scopes: readonly string[],
    given: RegistryCredentials | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Token> {
    const realm = URL.parse(parameters['realm'] ?? '');
    if (realm === null || !/^https?:$/.test(realm.protocol))
      throw new BoxshipError('unauthenticated', `no usable token realm in the challenge of ${host.host}`);
    if (realm.protocol === 'http:' && host.scheme === 'https' && host.tls.isVerified)
      throw new BoxshipError('unauthenticated', `token realm ${realm.origin} of ${host.host} is not https`);
    const credentials = isTrustedRealm(host, realm) ? given : undefined;
    if (credentials === undefined && given !== undefined)
      this.#log.warn('token realm is foreign to the registry and gets no credentials', {
        registry: host.host,
        realm: realm.origin,
      });
    const service = parameters['service'];
    const form = credentials?.identityToken ? new URLSearchParams() : realm.searchParams;
    if (service !== undefined) form.set('service', service);
    for (const scope of scopes) form.append('scope', scope);
    const headers: Record<string, string> = {};
    if (credentials?.identityToken) {
      form.set('client_id', 'docker');
      form.set('grant_type', 'refresh_token');
      form.set('refresh_token', credentials.identityToken);
      headers['content-type'] = 'application/x-www-form-urlencoded';
    } else {
      const login = basic(credentials);
      if (login !== undefined) {
        headers['authorization'] = login;
        form.set('account', credentials?.username ?? '');
      }
    }
    const isLocal = isLoopbackHost(host.host) || isInnerAddress(hostName(host.host));
    const isSameHost = hostName(realm.host) === hostName(host.host);
    const answer = await this.#transport.send(
      {
        method: credentials?.identityToken ? 'POST' : 'GET',
        url: realm,
        headers,
        signal,
        ...(credentials?.identityToken ? { body: form.toString() } : {}),
      },
      isSameHost
        ? host.tls
        : { isVerified: host.tls.isVerified, ...(host.tls.ca === undefined ? {} : { ca: host.tls.ca }) },
      isLocal || isSameHost ? 'registry' : 'public',
    );
    const body = await answer.text(maxTokenBytes);
    if (answer.status !== 200) throw registryError(answer.status, body, `GET ${realm.origin}${realm.pathname}`);
    return readToken(body, realm.origin);
  }
}

function readToken(body: string, origin: string): Token {
  let document: { token?: unknown; access_token?: unknown; expires_in?: unknown };
  try {
    document = JSON.parse(body) as typeof document;
  } catch (error) {
    throw new BoxshipError('unauthenticated', `token server ${origin} answered no JSON`, { cause: error });
  }
  const value = document.token || document.access_token;
  if (typeof value !== 'string')
    throw new BoxshipError('unauthenticated', `authorization server ${origin} did not include a token in the response`);
  const lifetime =
    typeof document.expires_in === 'number' && document.expires_in > 0 ? document.expires_in : defaultLifetimeSeconds;
  // By our own clock (issued_at may be of another), and a little early.
  return { value, expiresAtMs: Date.now() + lifetime * 900 };
}

const tokenKey = (
  challenge: Challenge,
  scopes: readonly string[],
  credentials: RegistryCredentials | undefined,
): string =>
  JSON.stringify([
    challenge.parameters['realm'],
    challenge.parameters['service'],
    [...scopes].sort(),
    credentials ?? null,
  ]);

function basic(credentials: RegistryCredentials | undefined): string | undefined {
  if (credentials?.username === undefined || credentials.username === '' || credentials.password === undefined)
    return undefined;
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;
}

/** The same host, or one under the same parent domain: auth.docker.io for registry-1.docker.io. */
function isTrustedRealm(host: RegistryHost, realm: URL): boolean {
  const [registry, name] = [hostName(host.host), hostName(realm.host)];
  if (registry === name || (isLoopbackHost(registry) && isLoopbackHost(name))) return true;
  // Two labels are a domain somebody owns, but not under country codes with short second levels (co.uk, com.au).
  const parent = (text: string): string =>
    text
      .split('.')
      .slice(/\.[a-z]{2,3}\.[a-z]{2}$/i.test(text) ? -3 : -2)
      .join('.');
  return (
    !isInnerAddress(name) && registry.split('.').length > 1 && /[a-z]/i.test(name) && parent(registry) === parent(name)
  );
}
