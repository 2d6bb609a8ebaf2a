/**
 * One query to one server, over UDP or TCP. The socket is opened by hand, connected, in the namespace from which the server is
 * to be asked, so that the kernel drops what others send; id, case and source port are random (RFC 5452).
 */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { BoxshipError } from '@boxship/base';
import { connectTcp, connectUdp, runInNetworkNamespace } from '@boxship/linux';
import { disguise, fitOf, type Query, undisguise } from './message.ts';

export type Transport = 'udp' | 'tcp';

export interface Upstream {
  readonly address: string;
  readonly port: number;
  /** Path of the namespace to ask from; undefined: the controller's own. */
  readonly namespacePath: string | undefined;
}

/** The server's answer as the client gets it. @throws when the server refuses the connection; the signal's reason */
export async function ask(
  query: Query,
  upstream: Upstream,
  transport: Transport,
  signal: AbortSignal,
): Promise<Buffer> {
  signal.throwIfAborted();
  const random = randomBytes(34);
  const sent = disguise(query, random.readUInt16BE(32), random.subarray(0, 32));
  const answer = await (transport === 'udp' ? askUdp : askTcp)(sent, query.questionEnd, upstream, signal);
  // a server that does not repeat the case could be a forger: over TCP nobody else can answer
  if (answer === 'otherCase') return await ask(query, upstream, 'tcp', signal);
  return undisguise(query, answer);
}

function open(upstream: Upstream, connect: (address: string, port: number) => number): number {
  const { address, port, namespacePath } = upstream;
  if (namespacePath === undefined) return connect(address, port);
  return runInNetworkNamespace(namespacePath, () => connect(address, port));
}

function askUdp(
  sent: Buffer,
  questionEnd: number,
  upstream: Upstream,
  signal: AbortSignal,
): Promise<Buffer | 'otherCase'> {
  const fd = open(upstream, connectUdp);
  const socket = createSocket(upstream.address.includes(':') ? 'udp6' : 'udp4');
  return new Promise<Buffer | 'otherCase'>((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    socket.on('error', reject);
    socket.on('message', (bytes) => {
      const fit = fitOf(sent, questionEnd, bytes);
      if (fit !== 'other') resolve(fit === 'exact' ? bytes : fit);
    });
    socket.bind({ fd });
    writeSync(fd, sent); // a datagram: the socket's buffer is empty, so it does not wait
  }).finally(() => socket.close());
}

function askTcp(sent: Buffer, questionEnd: number, upstream: Upstream, signal: AbortSignal): Promise<Buffer> {
  const socket = new Socket({ fd: open(upstream, connectTcp) });
  return new Promise<Buffer>((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    socket.on('error', reject);
    socket.on('end', () => reject(new BoxshipError('unavailable', `DNS server ${upstream.address} hung up`)));
    let received = Buffer.alloc(0);
    socket.on('data', (data) => {
      received = Buffer.concat([received, data]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const answer = received.subarray(2, 2 + received.readUInt16BE(0));
      if (fitOf(sent, questionEnd, answer) === 'other')
        reject(new BoxshipError('unavailable', `DNS server ${upstream.address} answered another question`));
      else resolve(answer);
    });
    socket.write(framed(sent));
  }).finally(() => socket.destroy());
}

/** A message as TCP carries it: after its length in two bytes. */
export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}
