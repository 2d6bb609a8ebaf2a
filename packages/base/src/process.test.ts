/** What only a process of its own can show: fail points, logs of a killed program, the end on a signal; and durable files. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { syncDirectorySync, writeFileAtomicSync } from './atomic-file.ts';
import { failPoint } from './fail-point.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync('/tmp/base-test-');
});
afterAll(() => rmSync(directory, { recursive: true }));

const nodeArgs = (code: string) => ['--no-warnings', '--conditions=@boxship/source', '--input-type=module', '-e', code];
const run = (code: string, env: NodeJS.ProcessEnv = {}) =>
  spawnSync(process.execPath, nodeArgs(code), {
    encoding: 'utf8',
    cwd: join(import.meta.dirname, '..'),
    env: { ...process.env, ...env },
    timeout: 20_000,
  });

describe('writeFileAtomicSync', () => {
  it('replaces a file whole, with the mode asked for, and leaves nothing beside it', () => {
    const path = join(directory, 'record.json');
    writeFileAtomicSync(path, 'old');
    writeFileAtomicSync(path, Buffer.from('new'), { mode: 0o600 });
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    writeFileAtomicSync(path, 'volatile', { isDurable: false });
    expect(readFileSync(path, 'utf8')).toBe('volatile');
    expect(readdirSync(directory)).toEqual(['record.json']);
  });

  it('a reader sees the old or the new content, never a part', () => {
    const path = join(directory, 'record.json');
    const reader = `
      import { readFileSync } from 'node:fs';
      const seen = new Set();
      process.stdout.write('ready');
      for (let i = 0; i < 500; i++) {
        const text = readFileSync(${JSON.stringify(path)}, 'utf8');
        if (text.length !== 65536 || new Set(text).size !== 1) throw new Error('torn: ' + text.length);
        seen.add(text[0]);
      }`;
    writeFileAtomicSync(path, 'a'.repeat(65536));
    const child = spawn(process.execPath, nodeArgs(reader), { stdio: ['ignore', 'pipe', 'inherit'] });
    return new Promise<void>((resolve, reject) => {
      let letter = 0;
      const write = () => {
        writeFileAtomicSync(path, String.fromCharCode(97 + (letter++ % 26)).repeat(65536), { isDurable: false });
        if (child.exitCode === null) setImmediate(write);
      };
      child.stdout.once('data', write);
      child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`the reader ended with ${code}`))));
    });
  });

  it('fails for a directory that is not there, and says so', () => {
    expect(() => writeFileAtomicSync(join(directory, 'no', 'file'), 'x')).toThrow('ENOENT');
    expect(() => syncDirectorySync(join(directory, 'no'))).toThrow('ENOENT');
  });
});

describe('failPoint', () => {
  const code = `
    import { failPoint } from '@boxship/base';
    for (let i = 1; i <= 3; i++) {
      try { await failPoint('a.b'); console.log(i, 'passed'); }
      catch (error) { console.log(i, error.kind, error.message, error.details.code); }
    }`;
  const armed = (term: string) => run(code, { BOXSHIP_TEST: '1', BOXSHIP_FP: `other=kill,${term}` });

  it('does nothing in ordinary life', async () => {
    await expect(failPoint('a.b')).resolves.toBeUndefined();
    expect(run(code, { BOXSHIP_TEST: '', BOXSHIP_FP: 'a.b=kill' }).stdout).toBe('1 passed\n2 passed\n3 passed\n');
  });
  it('kills at the n-th passage', () => {
    const { stdout, signal } = armed('a.b=kill@2');
    expect([stdout, signal]).toEqual(['1 passed\n', 'SIGKILL']);
  });
  it('fails with the error asked for, once', () => {
    expect(armed('a.b=error:ENOSPC').stdout).toBe('1 internal fail point a.b: ENOSPC ENOSPC\n2 passed\n3 passed\n');
  });
  it('waits', () => {
    expect(armed('a.b=delay:1').stdout).toBe('1 passed\n2 passed\n3 passed\n');
  });
});

describe('the production logger', () => {
  it('has written every line when its process is killed, errors with their stack', () => {
    const { stderr, signal } = run(`
      import { createLogger } from '@boxship/base/pino';
      const log = createLogger({ name: 'boxshipd' }).child({ container: 'abc' });
      log.debug('not at this level');
      log.info('container started', { pid: 7 });
      log.error('unmount failed', { error: new Error('busy') });
      process.kill(process.pid, 'SIGKILL');`);
    expect(signal).toBe('SIGKILL');
    const lines = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { error?: { stack: string } });
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({ name: 'boxshipd', msg: 'container started', container: 'abc', pid: 7 });
    expect(lines[1]?.error?.stack).toContain('Error: busy');
  });
});

describe('installShutdown', () => {
  const program = (stop: string) => `
    import { installShutdown, silentLogger } from '@boxship/base';
    installShutdown({ log: silentLogger, budgetMs: 200, stop: ${stop} });
    setInterval(() => {}, 1000);
    process.stdout.write('ready');`;
  const end = async (stop: string, signals: readonly NodeJS.Signals[]) => {
    const child = spawn(process.execPath, nodeArgs(program(stop)), {
      cwd: join(import.meta.dirname, '..'),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    for (const signal of signals) {
      child.kill(signal);
      await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
    }
    return child.exitCode ?? (await once(child, 'exit'))[0];
  };
  it('stops in order', async () => {
    expect(await end('async (reason) => { if (reason !== "SIGTERM") throw new Error(reason); }', ['SIGTERM'])).toBe(0);
  });
  it('leaves after its budget', async () => {
    expect(await end('() => new Promise(() => {})', ['SIGINT'])).toBe(1);
  });
  it('a failed stop is an exit code', async () => {
    expect(await end('() => Promise.reject(new Error("x"))', ['SIGTERM'])).toBe(1);
  });
  it('a defect ends the process with 70', () => {
    const code = `${program('async () => {}')}\nPromise.reject(new Error('forgotten'));`;
    expect(run(code).status).toBe(70);
  });
});

describe('recordSpans', () => {
  const code = `
    import { recordSpans, withSpan } from '@boxship/base';
    recordSpans();
    const parent = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) };
    await Promise.all(Array.from({ length: 50 }, (_, i) =>
      withSpan({ component: process.env.PART, name: String(i), parent }, async () => {})));`;

  it('several processes append whole lines to one file', async () => {
    const path = join(directory, 'spans');
    const ends = ['daemon', 'containerd', 'shim'].map(async (part) => {
      const child = spawn(process.execPath, nodeArgs(code), {
        cwd: join(import.meta.dirname, '..'),
        env: { ...process.env, PART: part, BOXSHIP_TRACE_FILE: path },
      });
      return (await once(child, 'exit'))[0];
    });
    expect(await Promise.all(ends)).toEqual([0, 0, 0]);
    const spans = readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { component: string; traceId: string });
    expect(spans).toHaveLength(150);
    expect(new Set(spans.map((span) => `${span.component} ${span.traceId}`)).size).toBe(3);
  });

  it('does nothing unless it is asked to', () => {
    expect(run(code, { PART: 'x', BOXSHIP_TRACE_FILE: '' })).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });
});
