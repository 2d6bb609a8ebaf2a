import { describe, expect, it } from 'vitest';
import { BoxshipError, type ErrorKind, messageOf } from './errors.ts';

describe('BoxshipError', () => {
  it('keeps kind, message, cause and details', () => {
    const cause = new Error('below');
    const error = new BoxshipError('notFound', 'no such image: x', { cause, details: { name: 'x' } });
    expect(error).toMatchObject({
      name: 'BoxshipError',
      kind: 'notFound',
      message: 'no such image: x',
      cause,
      details: { name: 'x' },
    });
    expect(new BoxshipError('internal', 'x')).not.toHaveProperty('cause');
  });

  it('is recognised across copies of the class, and nothing else is', () => {
    const ofAnotherBundle = Object.assign(new Error('x'), { kind: 'conflict', [Symbol.for('boxship.error')]: true });
    expect(BoxshipError.is(ofAnotherBundle)).toBe(true);
    expect(BoxshipError.is(ofAnotherBundle, 'conflict')).toBe(true);
    expect(BoxshipError.is(ofAnotherBundle, 'notFound')).toBe(false);
    for (const other of [new Error('x'), { kind: 'conflict' }, 'conflict', null, undefined])
      expect(BoxshipError.is(other)).toBe(false);
  });

  it.each<[string, ErrorKind]>([
    ['ENOENT', 'notFound'],
    ['EEXIST', 'alreadyExists'],
    ['EPERM', 'permissionDenied'],
    ['EACCES', 'permissionDenied'],
    ['EROFS', 'permissionDenied'],
    ['ENOSPC', 'resourceExhausted'],
    ['EMFILE', 'resourceExhausted'],
    ['ECONNREFUSED', 'unavailable'],
    ['EBUSY', 'unavailable'],
    ['ETIMEDOUT', 'deadlineExceeded'],
    ['EXDEV', 'internal'],
  ])('takes %s for %s', (code, kind) => {
    const error = BoxshipError.from(Object.assign(new Error('x'), { code }));
    expect(error).toMatchObject({ kind, message: 'x', details: { code } });
  });

  it('takes anything thrown', () => {
    expect(BoxshipError.from('text')).toMatchObject({ kind: 'internal', message: 'text' });
    expect(BoxshipError.from(AbortSignal.abort().reason)).toMatchObject({ kind: 'cancelled' });
    expect(BoxshipError.from(new DOMException('late', 'TimeoutError'))).toMatchObject({ kind: 'deadlineExceeded' });
    const error = new BoxshipError('conflict', 'x');
    expect(BoxshipError.from(error)).toBe(error);
    expect([messageOf(error), messageOf(7)]).toEqual(['x', '7']);
  });
});
