/** The two translations of kinds, row by row: gRPC with containerd's suffixes, and HTTP as the Engine API has it. */
import { describe, expect, it } from 'vitest';
import { BoxshipError, type ErrorKind } from './errors.ts';
import { fromGrpcStatus, toGrpcStatus } from './errors-grpc.ts';
import { fromHttpStatus, toHttpStatus } from './errors-http.ts';

// kind, gRPC code, text on the wire for the message "x", HTTP status
const table: readonly [ErrorKind, number, string, number][] = [
  ['cancelled', 1, 'x', 499],
  ['unknown', 2, 'x: unknown', 500],
  ['invalidArgument', 3, 'x: invalid argument', 400],
  ['deadlineExceeded', 4, 'x', 500],
  ['notFound', 5, 'x: not found', 404],
  ['alreadyExists', 6, 'x: already exists', 409],
  ['permissionDenied', 7, 'x', 403],
  ['resourceExhausted', 8, 'x', 500],
  ['failedPrecondition', 9, 'x: failed precondition', 409],
  ['aborted', 10, 'x', 409],
  ['outOfRange', 11, 'x: out of range', 400],
  ['unimplemented', 12, 'x: not implemented', 501],
  ['internal', 13, 'x', 500],
  ['unavailable', 14, 'x: unavailable', 503],
  ['dataLoss', 15, 'x', 500],
  ['unauthenticated', 16, 'x', 401],
];

describe.each(table)('%s', (kind, code, message, status) => {
  it('goes over gRPC and comes back', () => {
    expect(toGrpcStatus(new BoxshipError(kind, 'x'))).toEqual({ code, message });
    expect(fromGrpcStatus({ code, message })).toMatchObject({ kind, message: 'x' });
  });
  it('has its HTTP status', () => {
    expect(toHttpStatus(new BoxshipError(kind, 'x'))).toBe(status);
  });
});

it('adds the suffix once, however many wires an error crosses', () => {
  const once = toGrpcStatus(new BoxshipError('notFound', 'container "a": not found'));
  expect(once.message).toBe('container "a": not found');
  expect(toGrpcStatus(fromGrpcStatus(once))).toEqual(once);
});

it.each(['conflict', 'notModified'] as const)('%s has no gRPC code of its own: a failed precondition', (kind) => {
  expect(toGrpcStatus(new BoxshipError(kind, 'x')).code).toBe(9);
});

it('carries details, and reads codes that do not exist', () => {
  expect(fromGrpcStatus({ code: 5, message: 'x' }, { method: '/a' }).details).toEqual({ method: '/a' });
  expect(fromGrpcStatus({ code: 99, message: 'x' }).kind).toBe('unknown');
});

it.each([
  [304, 'notModified'],
  [400, 'invalidArgument'],
  [401, 'unauthenticated'],
  [403, 'permissionDenied'],
  [404, 'notFound'],
  [409, 'conflict'],
  [500, 'unknown'],
  [501, 'unimplemented'],
  [503, 'unavailable'],
  [418, 'unknown'],
] as const)('reads HTTP %i as %s', (status, kind) => {
  expect(fromHttpStatus(status, 'x')).toMatchObject({ kind, message: 'x', details: { status } });
});

it('translates what was thrown by others', () => {
  expect(toHttpStatus(Object.assign(new Error('x'), { code: 'ENOENT' }))).toBe(404);
  expect(toGrpcStatus(new Error('x')).code).toBe(13);
});
