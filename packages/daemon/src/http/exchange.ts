/**
 * One request and its answer as the routes see them: query values read the way Docker reads them, JSON bodies checked by a
 * schema, answers with the headers that every routed answer carries.
 */
import type { IncomingMessage } from 'node:http';
import { BoxshipError, toHttpStatus } from '@boxship/base';
import { apiAtLeast, decodeBody, maxApiVersion } from '@boxship/engine-api';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Static, TSchema } from 'typebox';
import { serverHeader } from '../product.ts';

const maxJsonBytes = 4 * 1024 * 1024;

export interface Exchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly apiVersion: string;
  readonly query: URLSearchParams;
  /** Fires when the client has gone away. */
  readonly signal: AbortSignal;
  /** A path parameter, decoded. */
  param(name: string): string;
  text(name: string): string;
  flag(name: string, fallback?: boolean): boolean;
  /** @throws invalidArgument */
  integer(name: string): number | undefined;
  /** @throws invalidArgument */
  body<Schema extends TSchema>(schema: Schema, options?: { readonly isOptional?: boolean }): Promise<Static<Schema>>;
  json(value: unknown, status?: number): void;
  empty(status: number): void;
}

export const commonHeaders = (): Record<string, string> => ({
  'Api-Version': maxApiVersion,
  'Docker-Experimental': 'false',
  Ostype: 'linux',
  Server: serverHeader,
});

export function createExchange(request: FastifyRequest, reply: FastifyReply, apiVersion: string): Exchange {
  const query = new URLSearchParams(request.raw.url?.split('?', 2)[1] ?? '');
  const gone = new AbortController();
  // on the answer, not on the socket: a pooled connection serves thousands of requests
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(new BoxshipError('cancelled', 'the client closed the connection'));
  });
  const exchange: Exchange = {
    request,
    reply,
    apiVersion,
    query,
    signal: gone.signal,
    param: (name) => (request.params as Record<string, string | undefined>)[name] ?? '',
    text: (name) => query.get(name) ?? '',
    flag(name, fallback = false) {
      const value = query.get(name);
      return value === null ? fallback : !['', '0', 'no', 'false', 'none'].includes(value.trim().toLowerCase());
    },
    integer(name) {
      const value = query.get(name);
      if (value === null || value === '') return undefined;
      if (!/^[-+]?\d{1,15}$/.test(value))
        throw new BoxshipError(
          'invalidArgument',
          `invalid value for ${name}: strconv.Atoi: parsing "${value}": invalid syntax`,
        );
      return Number(value);
    },
    async body(schema, options = {}) {
      const bytes = await readBody(request.raw);
      if (bytes.length === 0) {
        if (options.isOptional === true) return decodeBody(schema, {});
        throw new BoxshipError('invalidArgument', 'invalid JSON: got EOF while reading request body');
      }
      checkContentType(request.headers['content-type']);
      return decodeBody(schema, parseJson(bytes));
    },
    json(value, status = 200) {
      reply
        .code(status)
        .headers({ ...commonHeaders(), 'Content-Type': 'application/json' })
        .send(Buffer.from(`${JSON.stringify(value)}\n`));
    },
    empty(status) {
      reply.code(status).headers(commonHeaders()).send();
    },
  };
  return exchange;
}

async function readBody(raw: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of raw as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxJsonBytes)
      throw new BoxshipError('invalidArgument', `request body is larger than ${maxJsonBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function checkContentType(header: string | undefined): void {
  const type = (header ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (type !== 'application/json')
    throw new BoxshipError(
      'invalidArgument',
      `unsupported Content-Type header (${header ?? ''}): must be 'application/json'`,
    );
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new BoxshipError('invalidArgument', `invalid JSON: ${(error as Error).message}`, { cause: error });
  }
}

/** The status of an error; a start whose runtime failed and everything unforeseen is 500. */
export const statusOf = (error: unknown): number => {
  const status = toHttpStatus(error);
  return status === 499 ? 500 : status;
};

export function sendError(exchange: Pick<Exchange, 'reply' | 'apiVersion'>, error: unknown): void {
  const { reply, apiVersion } = exchange;
  const known = BoxshipError.from(error);
  const status = statusOf(known);
  if (status === 304) {
    reply.code(304).headers(commonHeaders()).send();
    return;
  }
  const isPlain = !apiAtLeast(apiVersion, '1.24');
  const body = isPlain ? `${known.message}\n` : `${JSON.stringify({ message: known.message })}\n`;
  reply
    .code(status)
    .headers({ ...commonHeaders(), 'Content-Type': isPlain ? 'text/plain; charset=utf-8' : 'application/json' })
    .send(Buffer.from(body));
}
