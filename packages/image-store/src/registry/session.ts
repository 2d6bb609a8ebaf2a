/**
 * Requests to one registry server: authentication, fall-back to plain HTTP where that is allowed, redirects without
 * credentials, repetition of what may be repeated.
 */
import { BoxshipError, type Logger, sleep } from '@boxship/base';
import type { Authorizer } from './authorizer.ts';
import { isHopeless, isRetryableStatus, registryError } from './errors.ts';
import { hostName, isLoopbackHost, type RegistryHost } from './hosts.ts';
import { type HttpRequest, type HttpResponse, type HttpTransport, isInnerAddress } from './transport.ts';

export interface RegistryRequest {
  readonly method: HttpRequest['method'];
  /** Below the host's prefix, with leading slash, or a URL that the registry has named (uploads). */
  readonly path: string | URL;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Given anew for each attempt: a stream can be sent once. */
  readonly body?: () => HttpRequest['body'];
  /** Token scopes: `repository:library/busybox:pull`. */
  readonly scopes: readonly string[];
  readonly signal?: AbortSignal | undefined;
  /** Told before a repetition, with the seconds to wait. */
  readonly onRetry?: ((seconds: number) => void) | undefined;
  /** Attempts; default 5 for GET and HEAD, 1 otherwise. */
  readonly attempts?: number;
}

const maxRedirects = 5;
const maxErrorBytes = 64 * 1024;
const maxRetryAfterSeconds = 60;
/** Schemes that have been found to work, for the life of the client: host → http. */
export type SchemeMemory = Map<string, 'http'>;

/** `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3); 0 for neither. */
const secondsUntil = (text: string): number =>
  /^\s*[\d.]+\s*$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000 || 0;

export class RegistrySession {
  readonly #host: RegistryHost;
  readonly #transport: HttpTransport;
  readonly #authorizer: Authorizer;
  readonly #schemes: SchemeMemory;
  readonly #log: Logger;

  constructor(parts: {
    readonly host: RegistryHost;
    readonly transport: HttpTransport;
    readonly authorizer: Authorizer;
    readonly schemes: SchemeMemory;
    readonly log: Logger;
  }) {
    this.#host = parts.host;
    this.#transport = parts.transport;
    this.#authorizer = parts.authorizer;
    this.#schemes = parts.schemes;
    this.#log = parts.log;
  }

  get host(): RegistryHost {
    const scheme = this.#schemes.get(this.#host.host);
    return scheme === undefined ? this.#host : { ...this.#host, scheme };
  }

  /** An answer below 400, or one of `accept`. @throws the registry's refusal by kind, unavailable, deadlineExceeded */
  async request(one: RegistryRequest, accept: readonly number[] = []): Promise<HttpResponse> {
    const attempts = one.attempts ?? (one.method === 'GET' || one.method === 'HEAD' ? 5 : 1);
    for (let attempt = 1; ; attempt++) {
      let failure: BoxshipError;
      let waitSeconds = Math.min(8, 0.5 * 2 ** (attempt - 1)) * (0.75 + Math.random() / 2);
      try {
        const answer = await this.#authorized(one);
        if (answer.status < 400 || accept.includes(answer.status)) return answer;
        const request = `${one.method} ${this.#url(one).pathname}`;
        const body = one.method === 'HEAD' ? '' : await answer.text(maxErrorBytes).catch(() => '');
        failure = registryError(answer.status, body, request);
        const after = secondsUntil(answer.header('retry-after') ?? '');
        if (after > 0) waitSeconds = Math.min(maxRetryAfterSeconds, after);
      } catch (error) {
        if (!BoxshipError.is(error)) throw error;
        failure = error;
      }
      const isWorthwhile = isRetryableStatus(failure.details['status']) || failure.details['isNetwork'] === true;
      if (attempt >= attempts || !isWorthwhile || isHopeless(failure)) throw failure;
      this.#log.debug('registry request is repeated', { host: this.#host.host, error: failure.message, attempt });
      one.onRetry?.(Math.ceil(waitSeconds));
      await sleep(waitSeconds * 1000, one.signal);
    }
  }

  async #authorized(one: RegistryRequest): Promise<HttpResponse> {
    for (let round = 0; ; round++) {
      const authorization = await this.#authorizer.header(this.#host, one.scopes, one.signal);
      const answer = await this.#redirected(one, authorization);
      if (answer.status !== 401 || round >= 2) return answer;
      const mayHelp = await this.#authorizer.challenged(this.#host, answer.header('www-authenticate'), one.scopes);
      if (!mayHelp || (round === 1 && authorization !== undefined)) return answer;
      await answer.discard();
    }
  }

  async #redirected(one: RegistryRequest, authorization: string | undefined): Promise<HttpResponse> {
    const origin = this.#url(one);
    let answer = await this.#dial(one, origin, authorization);
    let url = new URL(this.#url(one)); // the scheme may have changed while dialling
    for (let count = 0; [301, 302, 303, 307, 308].includes(answer.status); count++) {
      if (one.method !== 'GET' && one.method !== 'HEAD') return answer;
      const location = answer.header('location');
      await answer.discard();
      if (count >= maxRedirects)
        throw new BoxshipError('unknown', `${origin.pathname}: stopped after ${maxRedirects} redirects`);
      const next = URL.parse(location ?? '', url.href);
      if (next === null || !/^https?:$/.test(next.protocol))
        throw new BoxshipError('unknown', `${origin.pathname}: redirect to no usable address`);
      if (url.protocol === 'https:' && next.protocol === 'http:')
        throw new BoxshipError('permissionDenied', `${origin.pathname}: redirect from https to http refused`);
      const isSame = next.origin === origin.origin;
      // Credentials and configured headers are for the registry alone; storage gets a signed URL.
      const { authorization: _, cookie: __, ...headers } = one.headers ?? {};
      const isInner = isLoopbackHost(this.#host.host) || isInnerAddress(hostName(this.#host.host));
      url = next;
      answer = await this.#transport.send(
        {
          method: one.method,
          url,
          headers: isSame ? this.#headers(one, authorization) : headers,
          signal: one.signal,
        },
        isSame
          ? this.#host.tls
          : {
              isVerified: hostName(next.host) !== hostName(this.#host.host) || this.#host.tls.isVerified,
              ...(this.#host.tls.ca === undefined ? {} : { ca: this.#host.tls.ca }),
            },
        isSame || isInner || hostName(next.host) === hostName(this.#host.host) ? 'registry' : 'public',
      );
    }
    return answer;
  }

  async #dial(one: RegistryRequest, url: URL, authorization: string | undefined): Promise<HttpResponse> {
    const send = (target: URL): Promise<HttpResponse> => {
      const body = one.body?.();
      return this.#transport.send(
        {
          method: one.method,
          url: target,
          headers: this.#headers(one, authorization),
          signal: one.signal,
          ...(body === undefined ? {} : { body }),
        },
        this.#host.tls,
        'registry',
      );
    };
    try {
      return await send(url);
    } catch (error) {
      const mayFallBack =
        this.#host.mayFallBackToHttp &&
        url.protocol === 'https:' &&
        BoxshipError.is(error) &&
        error.details['isNetwork'] === true;
      if (!mayFallBack) throw error;
      const plain = new URL(url);
      plain.protocol = 'http:';
      if (url.port === '') plain.port = '80';
      const answer = await send(plain);
      this.#schemes.set(this.#host.host, 'http');
      return answer;
    }
  }

  #headers(one: RegistryRequest, authorization: string | undefined): Record<string, string> {
    return { ...this.#host.headers, ...one.headers, ...(authorization === undefined ? {} : { authorization }) };
  }

  #url(one: RegistryRequest): URL {
    const { scheme, host, path, namespace } = this.host;
    if (typeof one.path !== 'string') return one.path;
    const url = new URL(`${scheme}://${host}${path}${one.path}`);
    for (const [key, value] of Object.entries(one.query ?? {})) url.searchParams.set(key, value);
    if (namespace !== undefined) url.searchParams.set('ns', namespace);
    return url;
  }
}
