/**
 * Takes the connection of a request over. The order of the steps matters: the request's body has been read, http's own
 * listeners go, and reading starts only with a listener in place (a socket paused before that never reads again).
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { apiAtLeast } from '@boxship/engine-api';
import type { Exchange } from './exchange.ts';

const rawStream = 'application/vnd.docker.raw-stream';
const multiplexedStream = 'application/vnd.docker.multiplexed-stream';

export interface HijackOptions {
  readonly contentType: string;
  /** Sent after the upgrade's own headers (exec start has them, attach has none). */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Below 1.42 framed streams are announced as raw ones. */
export const streamType = (isTty: boolean, apiVersion: string): string =>
  isTty || !apiAtLeast(apiVersion, '1.42') ? rawStream : multiplexedStream;

/** The connection without its HTTP; nothing has been answered yet. */
export function takeSocket(exchange: Exchange): Duplex {
  const { request, reply } = exchange;
  reply.hijack();
  const { socket }: { socket: Duplex } = request.raw;
  for (const event of ['data', 'end', 'drain', 'error', 'timeout', 'readable']) socket.removeAllListeners(event);
  reply.raw.detachSocket(request.raw.socket);
  if (socket instanceof Socket) {
    socket.setTimeout(0);
    socket.setNoDelay(true);
  }
  return socket;
}

/** Answers 101 or, to a client that did not ask for an upgrade, 200; raw bytes follow. */
export function hijack(exchange: Exchange, options: HijackOptions): Duplex {
  const isUpgrade = exchange.request.headers.upgrade !== undefined;
  const socket = takeSocket(exchange);
  const lines = isUpgrade
    ? ['HTTP/1.1 101 UPGRADED', `Content-Type: ${options.contentType}`, 'Connection: Upgrade', 'Upgrade: tcp']
    : ['HTTP/1.1 200 OK', `Content-Type: ${rawStream}`];
  for (const [name, value] of Object.entries(options.headers ?? {})) lines.push(`${name}: ${value}`);
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  return socket;
}

/** An error before the upgrade of attach: plain text, then the end of the connection. */
export function refuseHijack(exchange: Exchange, status: number, reason: string, message: string): void {
  const socket = takeSocket(exchange);
  socket.on('error', () => socket.destroy()); // a client that is gone is no error of ours
  socket.resume();
  socket.end(`HTTP/1.1 ${status} ${reason}\r\nContent-Type: ${rawStream}\r\n\r\n${message}\r\n`);
}
