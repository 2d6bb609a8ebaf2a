/** What only the wire can get wrong: kinds of errors, waiting, traces, foreign clients. */

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { network as wire } from '@boxship/api';
import { BoxshipError, currentTraceparent, type ErrorKind, silentLogger, withSpan } from '@boxship/base';
import { credentials } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NetworkController } from '../src/index.ts';
import { connectController, serveController, ttrpcAddress } from '../src/index.ts';

let directory: string;
let address: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'boxship-wire-'));
  address = join(directory, 'network.sock');
});
afterEach(() => rmSync(directory, { recursive: true }));

/** A controller that answers one call; the wire is under test, not it. */
const answering = (answer: (id: string) => Promise<void>): NetworkController =>
  new Proxy({} as NetworkController, { get: () => answer });

describe.each([
  ['gRPC', (path: string) => path],
  ['ttrpc', ttrpcAddress],
])('boxship.network.v1 over %s', (_wire, at) => {
  test.each<ErrorKind>([
    'notFound',
    'alreadyExists',
    'conflict',
    'notModified',
    'failedPrecondition',
    'permissionDenied',
    'invalidArgument',
    'unknown',
    'unavailable',
    'resourceExhausted',
    'internal',
  ])('an error of kind %s arrives as it was thrown', async (kind) => {
    const controller = answering(() => Promise.reject(new BoxshipError(kind, 'Bind for 0.0.0.0:80 failed: ü')));
    await using _server = await serveController({ controller, address, log: silentLogger });
    using client = connectController(at(address));
    const error: unknown = await client.removeNetwork('x').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ kind, message: 'Bind for 0.0.0.0:80 failed: ü' });
  });

  test('the trace of the caller goes on at the server', async () => {
    let seen: string | undefined;
    const controller = answering(async () => {
      seen = currentTraceparent();
    });
    await using _server = await serveController({ controller, address, log: silentLogger });
    using client = connectController(at(address));
    const parent = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) };
    await withSpan({ component: 'test', name: 'caller', parent }, () => client.removeSandbox('x'));
    expect(seen?.slice(3, 35)).toBe(parent.traceId);
  });

  test('a server that never comes is an error of the deadline that names the socket', async () => {
    using client = connectController(at(address), { timeoutMs: 300 });
    const error: unknown = await client.removeNetwork('x').catch((thrown: unknown) => thrown);
    expect(BoxshipError.is(error, 'deadlineExceeded')).toBe(true);
    expect(String(error)).toContain(address);
  });

  test('calls of all kinds go to the successor of a server that has ended', async () => {
    const before = await serveController({ controller: answering(async () => {}), address, log: silentLogger });
    using client = connectController(at(address));
    await client.removeSandbox('x');
    await before[Symbol.asyncDispose]();
    const [repeatable, single] = [client.removeSandbox('x'), client.removeNetwork('x')];
    await using _after = await serveController({ controller: answering(async () => {}), address, log: silentLogger });
    await Promise.all([repeatable, single]);
  });

  test('a call that is under way is answered before the server ends', async () => {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { promise: work, resolve: finish } = Promise.withResolvers<void>();
    const controller = answering(async () => {
      begin();
      await work;
    });
    const server = await serveController({ controller, address, log: silentLogger });
    using client = connectController(at(address));
    const call = client.removeNetwork('x');
    await begun;
    const end = server[Symbol.asyncDispose]();
    finish();
    await Promise.all([call, end]);
  });

  test('only the owner may use the socket', async () => {
    await using _server = await serveController({ controller: answering(async () => {}), address, log: silentLogger });
    expect(statSync(at(address)).mode & 0o777).toBe(0o600);
  });
});

test('a plain gRPC client can call', async () => {
  await using _server = await serveController({ controller: answering(async () => {}), address, log: silentLogger });
  const client = new wire.SandboxesClient(`unix:${address}`, credentials.createInsecure());
  await new Promise<void>((resolve, reject) => {
    client.remove({ id: 'x' }, (error) => (error === null ? resolve() : reject(error)));
  });
  client.close();
});
