/** What only the wire can get wrong: kinds of errors, waiting, traces, foreign clients. */

import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { network as wire } from '@boxship/api';
import { BoxshipError, currentTraceparent, type ErrorKind, silentLogger, withSpan } from '@boxship/base';
import { credentials } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NetworkController } from '../src/index.ts';
import { connectController, serveController } from '../src/index.ts';

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

describe('boxship.network.v1', () => {
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
    using client = connectController(address);
    const error: unknown = await client.removeNetwork('x').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ kind, message: 'Bind for 0.0.0.0:80 failed: ü' });
  });

  test('the trace of the caller goes on at the server', async () => {
    let seen: string | undefined;
    const controller = answering(async () => {
      seen = currentTraceparent();
    });
    await using _server = await serveController({ controller, address, log: silentLogger });
    using client = connectController(address);
    const parent = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) };
    await withSpan({ component: 'test', name: 'caller', parent }, () => client.removeSandbox('x'));
    expect(seen?.slice(3, 35)).toBe(parent.traceId);
  });

  test('a server that never comes is an error of the deadline that names the socket', async () => {
    using client = connectController(address, { timeoutMs: 300 });
    const error: unknown = await client.removeNetwork('x').catch((thrown: unknown) => thrown);
    expect(BoxshipError.is(error, 'deadlineExceeded')).toBe(true);
    expect(String(error)).toContain(address);
  });

  test('only the owner may use the socket; a plain gRPC client can', async () => {
    await using _server = await serveController({ controller: answering(async () => {}), address, log: silentLogger });
    expect(statSync(address).mode & 0o777).toBe(0o600);
    const client = new wire.SandboxesClient(`unix:${address}`, credentials.createInsecure());
    await new Promise<void>((resolve, reject) => {
      client.remove({ id: 'x' }, (error) => (error === null ? resolve() : reject(error)));
    });
    client.close();
  });
});
