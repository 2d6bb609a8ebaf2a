import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BoxshipError, currentTraceparent, fromGrpcStatus, sleep, toGrpcStatus, withSpan } from '@boxship/base';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse } from './envelope.ts';
import { encodeFrame, FrameDecoder, HEADER_BYTES, MAX_BODY_BYTES, TtrpcClient, TtrpcServer } from './index.ts';

const text = { encode: (value: string) => Buffer.from(value), decode: (bytes: Buffer) => bytes.toString() };
const codec = {
  requestSerialize: text.encode,
  requestDeserialize: text.decode,
  responseSerialize: text.encode,
  responseDeserialize: text.decode,
};
const Echo = {
  say: { path: '/test.Echo/Say', ...codec },
  fail: { path: '/test.Echo/Fail', ...codec },
  hang: { path: '/test.Echo/Hang', ...codec },
  inspect: { path: '/test.Echo/Inspect', ...codec },
} as const;

let directory: string;
let server: TtrpcServer;
let client: TtrpcClient;
const aborted: unknown[] = [];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'ttrpc-'));
  server = new TtrpcServer({ component: 'test' });
  server.register(Echo, {
    async say(request) {
      await sleep(request.length % 5);
      return `${request}!`;
    },
    async fail(request) {
      throw new BoxshipError('notFound', request);
    },
    hang: (_request, { signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          aborted.push(signal.reason);
          reject(signal.reason);
        });
      }),
    async inspect(_request, { metadata }) {
      return JSON.stringify({ metadata, current: currentTraceparent() });
    },
  });
  await server.listen({ path: join(directory, 's') });
  client = await TtrpcClient.connect(`unix://${join(directory, 's')}`, { metadata: { a: 'b' } });
});

afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

describe('calls', () => {
  it('many at a time get each their own answer', async () => {
    const echo = client.service(Echo);
    const words = Array.from({ length: 200 }, (_, i) => 'x'.repeat(i));
    expect(await Promise.all(words.map((w) => echo.say(w)))).toEqual(words.map((w) => `${w}!`));
  });

  it('a message near the limit passes and one above it is refused with resourceExhausted', async () => {
    const echo = client.service(Echo);
    const large = 'y'.repeat(MAX_BODY_BYTES - 100);
    expect((await echo.say(large)).length).toBe(large.length + 1);
    await expect(echo.say('z'.repeat(MAX_BODY_BYTES))).rejects.toMatchObject({ kind: 'resourceExhausted' });
    expect(await echo.say('still here')).toBe('still here!');
  });

  it('an error keeps kind and text, the class name being added on the wire only', async () => {
    await expect(client.service(Echo).fail('container x')).rejects.toMatchObject({
      kind: 'notFound',
      message: 'container x',
    });
  });

  it.each(['conflict', 'notModified', 'failedPrecondition'] as const)(
    'of kinds with one code, %s stays itself',
    (kind) => {
      const response = { status: toGrpcStatus(new BoxshipError(kind, 'x')), payload: new Uint8Array(0) };
      const { status } = decodeResponse(encodeResponse(response));
      expect(status && fromGrpcStatus(status)).toMatchObject({ kind, message: 'x' });
    },
  );

  it('unknown services and methods are unimplemented', async () => {
    await expect(client.call('test.Echo', 'Nope', Buffer.alloc(0))).rejects.toMatchObject({ kind: 'unimplemented' });
    await expect(client.call('test.Nope', 'Say', Buffer.alloc(0))).rejects.toMatchObject({
      kind: 'unimplemented',
      message: 'service test.Nope',
    });
  });

  it('a deadline ends the call here and tells the server', async () => {
    aborted.length = 0;
    await expect(client.service(Echo).hang('', { timeoutMs: 50 })).rejects.toMatchObject({ kind: 'deadlineExceeded' });
    await expect.poll(() => aborted.length).toBe(1);
  });

  it('metadata and trace context travel', async () => {
    const answer = await withSpan(
      { component: 't', name: 'n', parent: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) } },
      () => client.service(Echo).inspect('', { metadata: { c: 'd' } }),
    );
    const { metadata, current } = JSON.parse(answer) as { metadata: Record<string, string>; current: string };
    expect(metadata).toMatchObject({ a: 'b', c: 'd' });
    expect(metadata['traceparent']).toContain('a'.repeat(32));
    expect(current).toContain('a'.repeat(32));
  });

  it('the same methods answer under a second service name', async () => {
    server.register(
      Echo,
      { say: async () => 'two', fail: async () => '', hang: async () => '', inspect: async () => '' },
      'test.v3.Echo',
    );
    expect(await client.service(Echo, 'test.v3.Echo').say('x')).toBe('two');
  });
});

describe('connection', () => {
  it('the end of the server ends open calls with unavailable and resolves closed', async () => {
    const call = client.service(Echo).hang('');
    const failed = expect(call).rejects.toMatchObject({ kind: 'unavailable' });
    await server[Symbol.asyncDispose]();
    await failed;
    expect((await client.closed).kind).toBe('unavailable');
    const unsent = { kind: 'unavailable', details: { isUnsent: true } };
    await expect(client.service(Echo).say('late')).rejects.toMatchObject(unsent);
    server = new TtrpcServer({ component: 'test' });
    await server.listen({ path: join(directory, 's2') });
  });

  it('a server that is drained answers what is under way, and takes no further connections', async () => {
    const call = client.service(Echo).say('xxxx');
    await client.service(Echo).say('');
    await server.drain(5000);
    expect(await call).toBe('xxxx!');
    await expect(TtrpcClient.connect(join(directory, 's'))).rejects.toMatchObject({ kind: 'notFound' });
  });

  it('no listener is unavailable or notFound, not a hang', async () => {
    await expect(TtrpcClient.connect(join(directory, 'none'))).rejects.toMatchObject({ kind: 'notFound' });
  });

  it('even streams, garbage bodies and foreign frame types get a status, not a crash', async () => {
    const socket = connect(join(directory, 's'));
    const decoder = new FrameDecoder();
    const streams: number[] = [];
    socket.on('data', (chunk: Buffer) => streams.push(...decoder.push(chunk).map((f) => f.stream)));
    socket.write(encodeFrame(2, 1, Buffer.from('a')));
    socket.write(encodeFrame(3, 1, Buffer.from([0xff, 0xff, 0xff])));
    socket.write(encodeFrame(5, 3, Buffer.alloc(0)));
    await expect.poll(() => streams.toSorted()).toEqual([2, 3, 5]);
    socket.destroy();
  });
});

describe('codecs', () => {
  it('frames survive any cut of the byte stream', () => {
    const stream = Buffer.concat([1, 3, 5].map((id) => encodeFrame(id, 1, Buffer.alloc(id * 7, id))));
    for (let cut = 1; cut < stream.length; cut++) {
      const decoder = new FrameDecoder();
      const frames = [];
      for (let at = 0; at < stream.length; at += cut) frames.push(...decoder.push(stream.subarray(at, at + cut)));
      expect(frames.map((f) => [f.stream, f.body?.length])).toEqual([
        [1, 7],
        [3, 21],
        [5, 35],
      ]);
    }
  });

  it('an oversized frame is skipped and the next one read', () => {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32BE(MAX_BODY_BYTES + 1, 0);
    header.writeUInt32BE(7, 4);
    const decoder = new FrameDecoder();
    const frames = decoder.push(
      Buffer.concat([header, Buffer.alloc(MAX_BODY_BYTES + 1), encodeFrame(9, 2, Buffer.from('x'))]),
    );
    expect(frames.map((f) => [f.stream, f.body === undefined])).toEqual([
      [7, true],
      [9, false],
    ]);
  });

  it('the request of the reference encodes to its bytes', () => {
    // service "s", method "m", payload 01, timeout 5, metadata k=v
    const bytes = Buffer.from('0a017312016d1a010120052a060a016b120176', 'hex');
    const request = { service: 's', method: 'm', payload: Uint8Array.of(1), timeoutNs: 5n, metadata: { k: 'v' } };
    expect(Buffer.from(encodeRequest(request)).toString('hex')).toBe(bytes.toString('hex'));
    expect(decodeRequest(bytes)).toMatchObject({ service: 's', method: 'm', timeoutNs: 5n });
  });
});
