import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { changeHostsFile, writeHostsFile } from './hosts-file.ts';
import { buildResolvConf, readHostResolvConf, writeResolvConf } from './resolv-conf.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'boxship-files-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('/etc/hosts', () => {
  test('is changed line by line in place; lines of others stay', () => {
    const path = join(directory, 'hosts');
    writeHostsFile(path, ['10.0.0.2\tweb']);
    const { ino } = statSync(path);
    writeFileSync(path, `${readFileSync(path, 'utf8')}1.2.3.4 written-inside\n`);
    changeHostsFile(path, { add: ['10.0.0.3\tdb'] });
    changeHostsFile(path, { add: ['10.0.0.3\tdb'] });
    changeHostsFile(path, { remove: ['10.0.0.2\tweb'] });
    expect(readFileSync(path, 'utf8').split('\n').slice(6)).toEqual(['1.2.3.4 written-inside', '10.0.0.3\tdb', '']);
    expect(statSync(path).ino).toBe(ino);
  });

  test('a file that is gone is nobody’s any more', () => {
    expect(() => changeHostsFile(join(directory, 'none'), { add: ['x'] })).not.toThrow();
  });
});

describe('resolv.conf', () => {
  test("is the host's without servers that a container cannot reach", () => {
    const host =
      '# mine\nnameserver 127.0.0.1\nnameserver 10.0.0.53\nnameserver fd00::53\nsearch corp.example\noptions ndots:2\n';
    expect(buildResolvConf(host, {}, false)).toBe(
      '# mine\nnameserver 10.0.0.53\nsearch corp.example\noptions ndots:2\n',
    );
    expect(buildResolvConf(host, {}, true)).toContain('nameserver fd00::53');
  });

  test('falls back to public servers', () => {
    expect(buildResolvConf('search x\nnameserver ::1\n', {}, false)).toBe(
      'search x\nnameserver 8.8.8.8\nnameserver 8.8.4.4\n',
    );
    expect(buildResolvConf('', {}, true)).toContain('2001:4860:4860::8888');
  });

  test('single settings replace single parts; a dot means no search list', () => {
    const host = 'search corp.example\nnameserver 10.0.0.53\noptions ndots:2\n';
    expect(buildResolvConf(host, { servers: ['1.1.1.1'] }, false)).toBe(
      'search corp.example\nnameserver 1.1.1.1\noptions ndots:2\n',
    );
    expect(buildResolvConf(host, { search: ['.'] }, false)).toBe('nameserver 10.0.0.53\noptions ndots:2\n');
  });

  test('a stub of systemd-resolved does not hide an unreadable list', () => {
    const path = join(directory, 'host');
    writeFileSync(path, 'nameserver 127.0.0.53\n');
    expect(readHostResolvConf(path)).toMatch(/nameserver/);
    expect(readHostResolvConf(join(directory, 'none'))).toBe('');
  });

  test('a file changed by hand is left alone', () => {
    const path = join(directory, 'resolv.conf');
    writeResolvConf(path, 'nameserver 1.1.1.1\n');
    writeResolvConf(path, 'nameserver 2.2.2.2\n');
    expect(readFileSync(path, 'utf8')).toBe('nameserver 2.2.2.2\n');
    writeFileSync(path, 'nameserver 9.9.9.9\n');
    writeResolvConf(path, 'nameserver 3.3.3.3\n');
    expect(readFileSync(path, 'utf8')).toBe('nameserver 9.9.9.9\n');
  });
});
