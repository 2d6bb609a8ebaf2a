/**
 * HTTP to a daemon: negotiates the API version once, encodes queries as Docker does, turns error answers into errors by kind
 * and takes over connections. The only file of the client that knows node:http.
 */
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { type Duplex, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { BoxshipError, currentTraceparent, fromHttpStatus } from '@boxship/base';
import { negotiateApiVersion } from '../versions.ts';
import { parseEngineHost } from './address.ts';

export interface TransportOptions {
  /** `unix:///path` or `tcp://host:port`; or what opens a connection to a daemon that has no address, one in this process. */
  readonly host: string | Dial;
  /** Fixes the version and saves the ping (`DOCKER_API_VERSION`). */
  readonly apiVersion?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Opens one connection. */
export type Dial = () => Duplex;

/** Values of `undefined` are left out; lists are repeated; objects are sent as JSON (filters). */
export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | object | undefined>>;

export interface RequestOptions {
  readonly query?: Query;
  /** Sent as JSON, unless it is a stream or bytes (`application/x-tar`). */
  readonly body?: object | Readable | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Leave out the `/v1.NN` prefix. */
  readonly isUnversioned?: boolean;
}

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';

/** A taken-over connection: raw bytes both ways; `socket.end()` is the half close that ends the process's stdin. */
export interface Hijacked {
  readonly socket: Duplex;
  /** `application/vnd.docker.multiplexed-stream`, or raw-stream (which is framed too below 1.42 without a terminal). */
  readonly contentType: string;
}

export interface Transport extends AsyncDisposable {
  apiVersion(): Promise<string>;
  /** Facts the daemon told at the first contact; undefined with a fixed version before the first ping. */
  ping(): Promise<PingResult>;
  /** An answer with status below 400. The caller reads or destroys the body. */
  send(method: Method, path: string, options?: RequestOptions): Promise<IncomingMessage>;
  json<T>(method: Method, path: string, options?: RequestOptions): Promise<T>;
  /** For answers without content; gives the status (204, 304 …). */
  empty(method: Method, path: string, options?: RequestOptions): Promise<number>;
  hijack(path: string, options?: RequestOptions): Promise<Hijacked>;
}

export interface PingResult {
  readonly apiVersion: string | undefined;
  readonly osType: string;
  readonly isExperimental: boolean;
  readonly builderVersion: string;
  readonly swarm: string;
}

export function createTransport(options: TransportOptions): Transport {
  const { target, hostHeader, basePath, agent } = destination(options.host);
  let pinged: Promise<PingResult> | undefined;

  async function open(
    method: Method,
    path: string,
    request: RequestOptions,
    upgrade: boolean,
  ): Promise<{ message: IncomingMessage; socket: Duplex | undefined }> {
    const prefix = request.isUnversioned === true ? '' : `/v${await transport.apiVersion()}`;
    const { body } = request;
    const isStream = body instanceof Readable;
    const bytes =
      body === undefined || isStream
        ? undefined
        : body instanceof Uint8Array
          ? body
          : Buffer.from(JSON.stringify(body));
    const traceparent = currentTraceparent();
    const headers: Record<string, string | number> = {
      'User-Agent': 'boxship',
      ...options.headers,
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(body === undefined
        ? {}
        : { 'Content-Type': isStream || body instanceof Uint8Array ? 'application/x-tar' : 'application/json' }),
      ...(bytes === undefined
        ? method === 'POST' && !isStream
          ? { 'Content-Length': 0 }
          : {}
        : { 'Content-Length': bytes.length }),
      ...(upgrade ? { Connection: 'Upgrade', Upgrade: 'tcp' } : {}),
      ...request.headers,
      Host: hostHeader,
    };
    const { promise, resolve, reject } = Promise.withResolvers<{
      message: IncomingMessage;
      socket: Duplex | undefined;
    }>();
    const outgoing: ClientRequest = httpRequest({
      ...target,
      method,
      path: `${basePath}${prefix}${path}${encodeQuery(request.query)}`,
      headers,
      agent: upgrade && typeof options.host === 'string' ? false : agent,
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    });
    outgoing.on('error', (error: NodeJS.ErrnoException) =>
      reject(connectError(error, String(options.host), request.signal)),
    );
    outgoing.on('response', (message) => resolve({ message, socket: undefined }));
    outgoing.on('upgrade', (message, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      resolve({ message, socket });
    });
    if (isStream) body.on('error', (error) => outgoing.destroy(error)).pipe(outgoing);
    else outgoing.end(bytes);
    return await promise;
  }

  const transport: Transport = {
    async apiVersion() {
      return options.apiVersion ?? negotiateApiVersion((await transport.ping()).apiVersion);
    },
    ping() {
      pinged ??= firstPing().catch((error: unknown) => {
        pinged = undefined; // the next call tries again
        throw error;
      });
      return pinged;
    },
    async send(method, path, request = {}) {
      const { message } = await open(method, path, request, false);
      if ((message.statusCode ?? 500) >= 400) throw await errorOf(message);
      return message;
    },
    async json<T>(method: Method, path: string, request?: RequestOptions) {
      const body = await text(await transport.send(method, path, request));
      return JSON.parse(body) as T;
    },
    async empty(method, path, request) {
      const message = await transport.send(method, path, request);
      message.resume();
      return message.statusCode ?? 0;
    },
    async hijack(path, request = {}) {
      const { message, socket } = await open('POST', path, request, true);
      if (socket === undefined) {
        if ((message.statusCode ?? 500) >= 400) throw await errorOf(message);
        throw new BoxshipError('unimplemented', `the daemon did not hand over the connection for ${path}`);
      }
      return { socket, contentType: message.headers['content-type'] ?? '' };
    },
    async [Symbol.asyncDispose]() {
      agent.destroy();
    },
  };

  async function firstPing(): Promise<PingResult> {
    const { message } = await open('HEAD', '/_ping', { isUnversioned: true }, false);
    message.resume();
    const header = (name: string): string | undefined => {
      const value = message.headers[name];
      return Array.isArray(value) ? value[0] : value;
    };
    return {
      apiVersion: header('api-version'),
      osType: header('ostype') ?? '',
      isExperimental: header('docker-experimental') === 'true',
      builderVersion: header('builder-version') ?? '',
      swarm: header('swarm') ?? '',
    };
  }
  return transport;
}

/** How node:http reaches the daemon. */
function destination(host: string | Dial) {
  if (typeof host === 'function')
    return { target: {}, hostHeader: 'api.moby.localhost', basePath: '', agent: new DialAgent(host) };
  const address = parseEngineHost(host);
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 4 });
  if (address.kind === 'unix')
    return { target: { socketPath: address.path }, hostHeader: 'api.moby.localhost', basePath: '', agent };
  const { host: name, port, basePath } = address;
  return { target: { host: name, port }, hostHeader: `${name}:${port}`, basePath, agent };
}

/** A connection for each request: in one process it costs nothing, and only sockets can be kept. */
class DialAgent extends Agent {
  readonly #dial: Dial;

  constructor(dial: Dial) {
    super({ keepAlive: false });
    this.#dial = dial;
  }

  override createConnection(): Duplex {
    return this.#dial();
  }
}

export function encodeQuery(query: Query | undefined): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value === undefined) continue;
    if (Array.isArray(value)) for (const item of value as readonly string[]) parameters.append(key, item);
    else if (typeof value === 'object') parameters.append(key, JSON.stringify(value));
    else if (typeof value === 'boolean') parameters.append(key, value ? '1' : '0');
    else parameters.append(key, String(value));
  }
  const encoded = parameters.toString();
  return encoded === '' ? '' : `?${encoded}`;
}

async function errorOf(message: IncomingMessage): Promise<BoxshipError> {
  const body = await text(message).catch(() => ''); // the status alone tells enough when the body is cut off
  let reason = body.trim();
  try {
    const parsed = JSON.parse(body) as { message?: unknown };
    if (typeof parsed.message === 'string') reason = parsed.message;
  } catch {
    // plain text: below 1.24, and on attach
  }
  const status = message.statusCode ?? 500;
  return fromHttpStatus(
    status,
    reason === '' ? `the daemon answered ${status} ${message.statusMessage ?? ''}` : reason,
  );
}

function connectError(error: NodeJS.ErrnoException, host: string, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED')
    return new BoxshipError(
      'unavailable',
      `Cannot connect to the Docker daemon at ${host}. Is the docker daemon running?`,
      { cause: error },
    );
  if (error.code === 'EACCES')
    return new BoxshipError(
      'permissionDenied',
      `permission denied while trying to connect to the Docker daemon socket at ${host}`,
      { cause: error },
    );
  return BoxshipError.from(error);
}
