/**
 * HTTP requests to registries, token servers and the storage they redirect to. One connection pool per way of trusting;
 * every wait has a limit; addresses that only a forged name can lead to are refused at the moment of connecting.
 */
import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { on } from 'node:events';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { getCACertificates } from 'node:tls';
import { BoxshipError, messageOf } from '@boxship/base';
import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from 'undici';
import { hostName, isLoopbackHost, type TlsOptions } from './hosts.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  readonly status: number;
  header(name: string): string | undefined;
  /** To be read to its end, or discarded. */
  readonly body: AsyncIterable<Uint8Array>;
  /** The whole body, at most `limit` bytes of it. @throws resourceExhausted */
  text(limit: number): Promise<string>;
  bytes(limit: number): Promise<Buffer>;
  discard(): Promise<void>;
}

/** What HTTP_PROXY, HTTPS_PROXY and NO_PROXY say. Loopback hosts are never asked for through a proxy. */
export interface ProxyOptions {
  readonly http?: string;
  readonly https?: string;
  /** Hosts, domains and ports, separated by commas. */
  readonly except?: string;
}

/** How far a connection may lead: `registry` = configured by the user; `public` = named by somebody's answer. */
export type Reach = 'registry' | 'public';

/** How long a server may keep silent. */
export interface TransportWaits {
  /** Until an answer begins; storage that fetches from elsewhere takes its time. Default 90 s. */
  readonly answerMs: number;
  /** Between two pieces of an answer; then the rest is asked for anew. Default 30 s. */
  readonly stallMs: number;
}

const defaultWaits: TransportWaits = { answerMs: 90_000, stallMs: 30_000 };
const connectMs = 30_000;

const linkLocal = new BlockList();
linkLocal.addSubnet('169.254.0.0', 16, 'ipv4');
linkLocal.addSubnet('fe80::', 10, 'ipv6');
const inner = new BlockList();
for (const [network, length] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['127.0.0.0', 8],
  ['0.0.0.0', 8],
] as const)
  inner.addSubnet(network, length, 'ipv4');
for (const [network, length] of [
  ['::1', 128],
  ['fc00::', 7],
  ['::', 128],
] as const)
  inner.addSubnet(network, length, 'ipv6');

/** Whether an address belongs to this host or a private network. */
export function isInnerAddress(address: string): boolean {
  const plain = address.replace(/^::ffff:/i, '');
  const family = isIP(plain);
  return family !== 0 && inner.check(plain, family === 6 ? 'ipv6' : 'ipv4');
}

function checkAddress(address: string, reach: Reach): void {
  const plain = address.replace(/^::ffff:/i, '');
  const family = isIP(plain) === 6 ? 'ipv6' : 'ipv4';
  if (linkLocal.check(plain, family) || (reach === 'public' && inner.check(plain, family)))
    throw new BoxshipError('permissionDenied', `connection to ${address} refused: the address is not public`);
}

export class HttpTransport implements AsyncDisposable {
  readonly #agents = new Map<string, Agent | EnvHttpProxyAgent>();
  readonly #userAgent: string;
  readonly #proxy: ProxyOptions | undefined;
  readonly #waits: TransportWaits;

  constructor(userAgent: string, options: { proxy?: ProxyOptions; waits?: Partial<TransportWaits> } = {}) {
    this.#userAgent = userAgent;
    this.#proxy = options.proxy;
    this.#waits = { ...defaultWaits, ...options.waits };
  }

  /** One request, redirects not followed. @throws unavailable (network), deadlineExceeded, permissionDenied (address) */
  async send(one: HttpRequest, tls: TlsOptions, reach: Reach): Promise<HttpResponse> {
    const name = hostName(one.url.host);
    if (isIP(name) !== 0) checkAddress(name, reach);
    const what = `${one.method} ${one.url.origin}${one.url.pathname}`;
    try {
      const answer = await request(one.url, {
        method: one.method,
        dispatcher: this.#agent(one.url, tls, reach),
        headers: { 'user-agent': this.#userAgent, ...one.headers },
        ...(one.body === undefined ? {} : { body: one.body as Dispatcher.DispatchOptions['body'] & {} }),
        ...(one.signal === undefined ? {} : { signal: one.signal }),
      });
      return wrap(answer, what, this.#waits);
    } catch (error) {
      if (one.signal?.aborted) throw one.signal.reason;
      throw networkError(error, what, this.#waits);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.destroy()));
  }

  #agent(url: URL, tls: TlsOptions, reach: Reach): Dispatcher {
    const isSecure = url.protocol === 'https:';
    const isDirect = this.#proxy === undefined || isLoopbackHost(url.host);
    const key = JSON.stringify([tls, reach, isSecure, isDirect]);
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      const trust = {
        rejectUnauthorized: tls.isVerified,
        ...(isSecure && tls.isVerified ? { ca: [...trustedAuthorities(), ...(tls.ca ?? [])] } : {}),
        ...(tls.client === undefined ? {} : tls.client),
      };
      const { answerMs, stallMs } = this.#waits;
      const waits = { headersTimeout: answerMs, bodyTimeout: stallMs, keepAliveTimeout: 10_000 };
      // A proxy resolves names itself; the check of addresses is then its own affair.
      agent = isDirect
        ? new Agent({ ...waits, connect: { timeout: connectMs, lookup: guardedLookup(reach), ...trust } })
        : new EnvHttpProxyAgent({
            ...waits,
            httpProxy: this.#proxy?.http ?? '',
            httpsProxy: this.#proxy?.https ?? '',
            noProxy: this.#proxy?.except ?? '',
            requestTls: trust,
          });
      this.#agents.set(key, agent);
    }
    return agent;
  }
}

let authorities: string[] | undefined;

/** Whom this host trusts: the runtime's own list, NODE_EXTRA_CA_CERTS, and the system's store, as Docker does. */
function trustedAuthorities(): readonly string[] {
  authorities ??= [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
  return authorities;
}

/** Resolves names and refuses addresses, so that a name cannot be bound anew between check and use. */
function guardedLookup(reach: Reach): LookupFunction {
  return (name, options, callback) => {
    dnsLookup(name, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error !== null) return callback(error, '', 0);
      try {
        for (const { address } of found) checkAddress(address, reach);
      } catch (refused) {
        return callback(refused as NodeJS.ErrnoException, '', 0);
      }
      if (options.all === true) return callback(null, found);
      const [first] = found;
      return callback(null, first?.address ?? '', first?.family ?? 4);
    });
  };
}

function wrap(answer: Dispatcher.ResponseData, what: string, waits: TransportWaits): HttpResponse {
  const body = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    // Iterating the stream itself would join what has come meanwhile to new, larger buffers, which takes longer than to receive it.
    const events = on(answer.body, 'data', { close: ['end', 'close'], highWaterMark: 8, lowWaterMark: 2 });
    try {
      for await (const [chunk] of events) yield chunk as Buffer;
      if (!answer.body.readableEnded) throw new Error('the answer was cut');
    } catch (error) {
      throw networkError(error, what, waits);
    } finally {
      answer.body.on('error', () => {}).destroy(); // whoever stopped early has no use for the rest, nor for its failure
    }
  };
  const bytes = async (limit: number): Promise<Buffer> => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of body()) {
      size += chunk.length;
      if (size > limit) throw new BoxshipError('resourceExhausted', `${what}: answer is larger than ${limit} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  };
  return {
    status: answer.statusCode,
    header: (name) => {
      const value = answer.headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    },
    body: body(),
    bytes,
    text: async (limit) => (await bytes(limit)).toString('utf8'),
    discard: async () => {
      // A short rest is read so that the connection can be used again; a long one is cut.
      try {
        await answer.body.dump({ limit: 128 * 1024 });
      } catch {
        // The connection is gone, and with it the rest.
      }
    },
  };
}

function networkError(error: unknown, what: string, waits: TransportWaits): BoxshipError {
  if (BoxshipError.is(error)) return error;
  const cause = (error as { cause?: unknown } | null)?.cause;
  if (BoxshipError.is(cause)) return cause;
  const code = String((error as NodeJS.ErrnoException | null)?.code ?? '');
  const limitMs = code.includes('CONNECT') ? connectMs : code.includes('BODY') ? waits.stallMs : waits.answerMs;
  if (/TIMEOUT|ETIMEDOUT/.test(code))
    return new BoxshipError('deadlineExceeded', `registry: ${what} took longer than ${limitMs} ms`, {
      cause: error,
      details: { code, isNetwork: true },
    });
  return new BoxshipError(
    'unavailable',
    `${what.replace(/^(\w)(\w*) (.*)$/, (_, a: string, b: string, url: string) => `${a}${b.toLowerCase()} "${url}"`)}: ${messageOf(error)}`,
    {
      cause: error,
      details: { code, isNetwork: true },
    },
  );
}
