import { closeSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@boxship/base';
import { makeFifo, mount, openFifo, sharedPoller, unmount, writeNow } from '@boxship/linux';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openLog } from '../log/open-log.ts';
import { Spool } from '../log/spool.ts';
import { LogTarget } from './log-step.ts';
import { Pump } from './pump.ts';
import { FifoSource } from './source.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'step-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('log target', () => {
  it('a full file system of the bundles stops nothing and loses nothing', async () => {
    const small = join(directory, 'bundle');
    mkdirSync(small);
    mount({ type: 'tmpfs', source: 'tmpfs', target: small, options: ['size=32k'] });
    makeFifo(join(directory, 'fifo'));
    const path = join(directory, 'log');
    const options = {
      driver: 'json-file',
      path,
      maxSizeBytes: undefined,
      maxFiles: 1,
      isCompressed: false,
      attrs: {},
      attachPath: undefined,
    } as const;
    const spool = new Spool(join(small, 's'));
    const writer = openLog(options, silentLogger, spool);
    const target = new LogTarget({ writer, spool, attach: undefined, log: silentLogger });
    const source = new FifoSource(join(directory, 'fifo'), sharedPoller());
    const pump = new Pump(source, target.step('stdout', source), sharedPoller(), silentLogger, 'discard');
    const into = openFifo(join(directory, 'fifo'), { access: 'read-write' });
    const text = Array.from({ length: 20_000 }, (_, i) => `line ${i}\n`).join('');
    try {
      expect(writeNow(into, Buffer.from(text))).toBe(text.length);
      pump.start();
      closeSync(into);
      await pump.drain();
      await pump.ended;
      const lines = readFileSync(path, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((l) => (JSON.parse(l) as { log: string }).log);
      expect(lines.join('')).toBe(text);
    } finally {
      unmount(small, { isLazy: true });
    }
  });
});
