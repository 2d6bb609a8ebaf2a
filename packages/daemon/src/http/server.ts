/** The HTTP server: versions, routing, errors, one span per request. Routes are added by the files in `routes/`. */

import { readFileSync } from 'node:fs';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type Duplex, duplexPair } from 'node:stream';
import { BoxshipError, type Logger, parseTraceparent, withSpan } from '@boxship/base';
import { maxApiVersion } from '@boxship/engine-api';
import Fastify, { type FastifyInstance } from 'fastify';
import type { TlsConfig } from '../config.ts';
import { createExchange, type Exchange, sendError } from './exchange.ts';
import { effectiveVersion, splitVersion } from './version.ts';

export type Handler = (exchange: Exchange) => Promise<void> | void;
export type HttpMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'OPTIONS';

export interface Router {
  /** `path` in fastify's notation: `/containers/:id/json`, `/images/*`. */
  on(method: HttpMethod, path: string, handler: Handler): void;
}

export interface HttpServer extends AsyncDisposable {
  /** A listener of its own for one socket. All share the routes. */
  listener(tls?: TlsConfig): Server;
  /** A connection from inside this process: the client's end. */
  dial(): Duplex;
}

const maxHeaderBytes = 64 * 1024;
const headersTimeoutMs = 30_000;
/** Idle keep-alive connections of pooled clients. */
const keepAliveTimeoutMs = 75_000;

export async function createHttpServer(log: Logger, addRoutes: (router: Router) => void): Promise<HttpServer> {
  const versions = new WeakMap<IncomingMessage, string | undefined>();
  const servers = new Set<Server>();
  let listener: RequestListener | undefined;
  const app: FastifyInstance = Fastify({
    logger: false,
    exposeHeadRoutes: false,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 4096 },
    rewriteUrl(raw) {
      const { path, version } = splitVersion(raw.url ?? '/');
      versions.set(raw, version);
      return path;
    },
    serverFactory(handler) {
      listener = handler as RequestListener;
      return createServer();
    },
  });
  // bodies are read by the routes: JSON ones under a limit, archives as streams
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).header('Content-Type', 'application/json').send(Buffer.from('{"message":"page not found"}\n')),
  );
  app.setErrorHandler((error, _request, reply) => sendError({ reply, apiVersion: maxApiVersion }, error));

  app.options('*', (_request, reply) => reply.code(200).send());

  addRoutes({
    on(method, path, handler) {
      app.route({
        method,
        url: path,
        async handler(request, reply) {
          const asked = versions.get(request.raw);
          let apiVersion: string;
          try {
            // no client but a browser sends it, and no page has business here
            if (request.headers.origin !== undefined)
              throw new BoxshipError(
                'permissionDenied',
                `requests from web pages are refused (${request.headers.origin})`,
              );
            apiVersion = effectiveVersion(asked);
          } catch (error) {
            sendError({ reply, apiVersion: asked ?? maxApiVersion }, error);
            return reply;
          }
          const exchange = createExchange(request, reply, apiVersion);
          const header = request.headers['traceparent'];
          const parent = parseTraceparent(Array.isArray(header) ? header[0] : header);
          try {
            await withSpan({ component: 'daemon', name: `${method} ${path}`, parent }, async () => handler(exchange));
          } catch (error) {
            answerFailure(log, exchange, error);
          }
          return reply;
        },
      });
    },
  });
  await app.ready();
  const addServer = (tls?: TlsConfig): Server => {
    const options = { maxHeaderSize: maxHeaderBytes, requestTimeout: 0, headersTimeout: headersTimeoutMs };
    const server = tls === undefined ? createServer(options) : createTlsServer({ ...options, ...tlsOptions(tls) });
    server.keepAliveTimeout = keepAliveTimeoutMs;
    server.on('request', (request, response) => listener?.(request, response));
    servers.add(server);
    return server;
  };
  let inner: Server | undefined;
  return {
    listener: addServer,
    dial() {
      inner ??= addServer();
      const [client, server] = duplexPair();
      // the pair passes on an end, but not that a side was destroyed
      client.once('close', () => server.destroy());
      server.once('close', () => client.destroy());
      inner.emit('connection', server);
      return client;
    },
    async [Symbol.asyncDispose]() {
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
      await app.close();
    },
  };
}

/** Client certificates are checked in the handshake: without a good one there is no request. */
function tlsOptions(tls: TlsConfig) {
  const { certificate, key, clientAuthority } = tls;
  return {
    cert: readFileSync(certificate),
    key: readFileSync(key),
    minVersion: 'TLSv1.2' as const,
    // a client that ends its side of a hijacked stream still waits for the output; plain HTTP servers do this by default
    allowHalfOpen: true,
    ...(clientAuthority === undefined
      ? {}
      : { ca: readFileSync(clientAuthority), requestCert: true, rejectUnauthorized: true }),
  };
}

function answerFailure(log: Logger, exchange: Exchange, error: unknown): void {
  const { reply, request } = exchange;
  const known = BoxshipError.from(error);
  if (known.kind === 'internal') log.error('request failed', { method: request.method, url: request.url, error });
  else log.debug('request refused', { method: request.method, url: request.url, kind: known.kind, error });
  if (!reply.sent && !reply.raw.headersSent) sendError(exchange, known);
  else reply.raw.destroy(); // a stream has begun: it can only be cut
}
