import { describe, expect, it } from 'vitest';
import { resolveUser } from './user.ts';

const files = {
  passwd: 'root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/:/bin/sh\n5:x:77:78::/:/bin/sh\n#not:x:1:1\nbroken\n',
  group: 'root:x:0:\nwheel:x:10:root\nvideo:x:44:app,other\nmail:x:8:\n',
};

describe('resolveUser', () => {
  it.each([
    ['', [], { uid: 0, gid: 0, additionalGids: [0, 10] }],
    ['app', [], { uid: 1000, gid: 1001, additionalGids: [1001, 44] }],
    ['1000', [], { uid: 1000, gid: 1001, additionalGids: [1001, 44] }],
    ['app:mail', [], { uid: 1000, gid: 8, additionalGids: [8] }],
    ['app:99', ['mail', '7'], { uid: 1000, gid: 99, additionalGids: [99, 8, 7] }],
    ['1234', ['44'], { uid: 1234, gid: 0, additionalGids: [0, 44] }],
    ['5', [], { uid: 77, gid: 78, additionalGids: [78] }],
  ])('%j with %j', (user, groups, expected) => {
    expect(resolveUser(user, groups, files)).toEqual(expected);
  });

  it.each([
    ['nosuch', 'unable to find user nosuch: no matching entries in passwd file'],
    ['app:nosuch', 'unable to find group nosuch: no matching entries in group file'],
    ['4294967295', 'uids and gids must be in range 0-2147483647'],
  ])('refuses %j', (user, text) => {
    expect(() => resolveUser(user, [], files)).toThrow(text);
  });
});
