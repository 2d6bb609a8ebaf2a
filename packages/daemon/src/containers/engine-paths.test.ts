import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseDaemonConfig } from '../config.ts';
import { checkBindIsForeign } from './engine-paths.ts';

const top = mkdtempSync(join(tmpdir(), 'boxship-paths-'));
afterAll(() => rmSync(top, { recursive: true }));
for (const name of ['data/volumes/v/_data', 'data/containers', 'run', 'mine'])
  mkdirSync(join(top, name), { recursive: true });
writeFileSync(join(top, 'run/api.sock'), '');
symlinkSync(join(top, 'data'), join(top, 'mine/link'));

const flags = ['--config-file', '/dev/null', '--data-root', join(top, 'data'), '--exec-root', join(top, 'run')];
const config = parseDaemonConfig([...flags, '-H', `unix://${top}/run/api.sock`], { loggerPath: '' });

describe('binds of the engine itself', () => {
  it.each(['data', 'data/containers/x', 'run', 'mine/link', 'mine/link/new'])('%s is refused', (path) => {
    expect(() => checkBindIsForeign(join(top, path), config)).toThrow('belongs to the engine');
  });

  it.each(['mine', 'mine/new', 'database', 'run/api.sock', 'data/volumes/v/_data'])('%s is not', (path) => {
    expect(() => checkBindIsForeign(join(top, path), config)).not.toThrow();
  });

  it('are allowed when the operator says so', () => {
    const open = parseDaemonConfig([...flags, '--allow-engine-paths'], { loggerPath: '' });
    expect(() => checkBindIsForeign(join(top, 'data'), open)).not.toThrow();
  });
});
