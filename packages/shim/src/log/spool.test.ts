/** Every point of death between pipe and log is tried: a process is killed at the n-th system call that changes anything. */
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@boxship/base';
import { makeFifo, openFifo, WOULD_BLOCK, writeNow } from '@boxship/linux';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { JsonFormat } from './json-format.ts';
import { LogFile } from './log-file.ts';
import { LogWriter, type WriteIntent } from './log-writer.ts';
import { Spool } from './spool.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'spool-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

interface Parts {
  readonly spool: Spool;
  readonly file: LogFile;
  readonly writer: LogWriter;
  readonly pipe: number;
}

function open(at: string, maxSizeBytes?: number, maxFiles = 50): Parts {
  const format = new JsonFormat();
  const file = new LogFile({
    path: join(at, 'log'),
    maxSizeBytes,
    maxFiles,
    isCompressed: false,
    format,
    log: silentLogger,
  });
  const spool = new Spool(join(at, 'p'));
  spool.recover(file);
  file.repair();
  makeFifo(join(directory, 'fifo'));
  const pipe = openFifo(join(directory, 'fifo'), { access: 'read-write' });
  return { spool, file, writer: new LogWriter(file, format, silentLogger), pipe };
}

class Killed extends Error {}

/** One step of the pump, with a hook at each place where a kill would leave a different state on disk. */
function step({ spool, writer, pipe }: Parts, reach: (point: string) => void): void {
  reach('before take');
  if (spool.take('stdout', pipe, 1 << 20) === WOULD_BLOCK && spool.pendingBytes('stdout') === 0) return;
  reach('taken');
  const bytes = spool.contents('stdout', Buffer.alloc(2 << 20));
  let base = 0;
  const used = writer.write('stdout', bytes, 1_700_000_000_000_000_000n, (intent: WriteIntent) => {
    spool.intend('stdout', intent, base);
    base = intent.consumed;
    reach('intended');
  });
  reach('written');
  if (used > 0) spool.consume('stdout', used);
  reach('consumed');
}

const close = ({ spool, writer, pipe }: Parts) => {
  spool.close();
  writer.close();
  closeSync(pipe);
};

function allLines(at: string): string[] {
  const files: string[] = [];
  for (let i = 60; i > 0; i--) if (existsSync(join(at, `log.${i}`))) files.push(join(at, `log.${i}`));
  return [...files, join(at, 'log')].flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { log: string }).log),
  );
}

describe('spool', () => {
  for (const [name, maxSize] of [
    ['without rotation', undefined],
    ['with rotation', 700],
  ] as const) {
    it(`a death at any step loses and doubles nothing, ${name}`, () => {
      // each input ends within a line, so that a tail is always pending
      const inputs = Array.from({ length: 12 }, (_, i) => `${i}-end\nline ${i} a\nline ${i} b\n${i}-begin `);
      const expected = inputs
        .join('')
        .split(/(?<=\n)/)
        .slice(0, -1);
      for (let killAt = 0; killAt < 80; killAt++) {
        const at = join(directory, String(killAt));
        mkdirSync(at);
        let parts = open(at, maxSize);
        let reached = 0;
        let hasDied = false;
        for (const input of inputs) {
          writeNow(parts.pipe, Buffer.from(input));
          try {
            step(parts, () => {
              if (reached++ === killAt) throw new Killed();
            });
          } catch (error) {
            if (!(error instanceof Killed)) throw error;
            hasDied = true;
            // as the kernel does at a death: descriptors close; the pipe's content stays, because its writer is alive
            const keeper = openFifo(join(directory, 'fifo'), { access: 'read-write' });
            close(parts);
            parts = open(at, maxSize);
            closeSync(keeper);
            step(parts, () => {});
          }
        }
        close(parts);
        expect(allLines(at), `killed at step ${killAt}`).toEqual(expected);
        if (!hasDied) return;
      }
    });
  }

  it('a log write that was cut in the middle is done again', () => {
    const at = join(directory, 'cut');
    mkdirSync(at);
    const parts = open(at);
    writeNow(parts.pipe, Buffer.from('first\n'));
    step(parts, () => {});
    writeNow(parts.pipe, Buffer.from('second\nthird\nfour'));
    expect(() =>
      step(parts, (point) => {
        if (point === 'intended') throw new Killed();
      }),
    ).toThrow(Killed);
    const log = openSync(join(at, 'log'), 'a');
    writeSync(log, '{"log":"second\\n","stre');
    closeSync(log);
    close(parts);
    const next = open(at);
    writeNow(next.pipe, Buffer.from('th\n'));
    step(next, () => {});
    close(next);
    expect(allLines(at)).toEqual(['first\n', 'second\n', 'third\n', 'fourth\n']);
  });

  it('stays small while much passes through, with and without a tail, also across deaths', () => {
    const at = join(directory, 'big');
    mkdirSync(at);
    let parts = open(at);
    let expected = 0;
    for (let i = 0; i < 60; i++) {
      const block = 'x'.repeat(99).concat('\n').repeat(600) + (i % 2 === 0 ? 'tail ' : '\n');
      for (let from = 0; from < block.length; from += 30_000) {
        writeNow(parts.pipe, Buffer.from(block.slice(from, from + 30_000)));
        step(parts, () => {});
      }
      expected += block.split('\n').length - 1;
      if (i % 7 === 0) {
        close(parts);
        parts = open(at);
      }
      expect(readFileSync(join(at, 'p.stdout')).length).toBeLessThan(600_000);
    }
    close(parts);
    expect(allLines(at).length).toBe(expected);
  });
});
