/**
 * What the engine needs of an OCI runtime, as tests: `ociRuntimeSuite('runc', () => new Runc({ … }))`. Run it against each
 * runtime that is to be supported. Needs root.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { poll } from '@boxship/base';
import { listenForFd, processStat, readNow, setNonBlocking } from '@boxship/linux';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Runc } from '../runc.ts';
import { makeBundle, makeRootfs, testPath, testSpec } from './bundle.ts';

export type RuntimeFactory = (options: { readonly root: string; readonly logDirectory: string }) => Runc;

export function ociRuntimeSuite(name: string, make: RuntimeFactory): void {
  describe(`${name} as OCI runtime`, () => {
    let directory: string;
    let rootfs: string;
    let runc: Runc;
    const created: string[] = [];

    beforeAll(() => {
      directory = mkdtempSync(join(tmpdir(), 'oci-runtime-'));
      rootfs = makeRootfs(join(directory, 'rootfs'));
      mkdirSync(join(directory, 'logs'));
      runc = make({ root: join(directory, 'state'), logDirectory: join(directory, 'logs') });
    });
    afterEach(async () => {
      for (const id of created.splice(0)) await runc.delete(id, { isForced: true });
    });
    afterAll(() => rmSync(directory, { recursive: true, force: true }));

    const until = async (what: () => boolean) =>
      expect(await poll({ everyMs: 10, timeoutMs: 5000 }, () => what() || undefined)).toBe(true);

    async function create(args: readonly string[], isTerminal = false, consoleSocket?: string) {
      const id = `t${randomBytes(6).toString('hex')}`;
      const spec = testSpec({ rootfs, args, isTerminal, cgroupsPath: `/boxship-test/${id}` });
      const bundle = makeBundle(join(directory, id), spec);
      const output = join(bundle, 'output');
      const fd = openSync(output, 'a');
      created.push(id);
      try {
        const pid = await runc.create(id, {
          bundle,
          pidFile: join(bundle, 'init.pid'),
          consoleSocket,
          stdio: isTerminal ? {} : { stdout: fd, stderr: fd },
        });
        return { id, pid, bundle, output };
      } finally {
        closeSync(fd);
      }
    }
    const ended = async (pid: number) => await until(() => ['Z', undefined].includes(processStat(pid)?.state));

    it('runs a program between create, start and delete', async () => {
      const { id, pid, output } = await create(['sh', '-c', 'echo out; echo err >&2; exit 3']);
      expect(await runc.state(id)).toMatchObject({ id, status: 'created', pid });
      await runc.start(id);
      await ended(pid);
      expect(readFileSync(output, 'utf8')).toBe('out\nerr\n');
      expect((await runc.state(id)).status).toBe('stopped');
      await runc.delete(id);
      await expect(runc.state(id)).rejects.toMatchObject({ kind: 'notFound' });
    });

    it('create returns although the container holds its output open', async () => {
      const { id } = await create(['sleep', '100']);
      await runc.start(id);
      expect((await runc.state(id)).status).toBe('running');
    });

    it('exec adds a process, ps lists it, kill ends the init', async () => {
      const { id, pid, bundle } = await create(['sleep', '100']);
      await runc.start(id);
      const processFile = join(bundle, 'p.json');
      writeFileSync(
        processFile,
        JSON.stringify({ user: { uid: 0, gid: 0 }, args: ['sleep', '50'], env: [testPath], cwd: '/' }),
      );
      const execPid = await runc.exec(id, { processFile, pidFile: join(bundle, 'e.pid') });
      expect((await runc.ps(id)).toSorted()).toEqual([pid, execPid].toSorted());
      await runc.kill(id, 'KILL');
      await ended(execPid);
    });

    it('a program that does not exist names itself in the error of create', async () => {
      await expect(create(['/nope'])).rejects.toThrow(/\/nope.*no such file or directory/);
    });

    it('states that forbid a verb give failedPrecondition', async () => {
      const { id } = await create(['sleep', '100']);
      await runc.start(id);
      await expect(runc.start(id)).rejects.toMatchObject({ kind: 'failedPrecondition' });
      await expect(runc.delete(id)).rejects.toMatchObject({ kind: 'failedPrecondition' });
      await expect(runc.resume(id)).rejects.toMatchObject({ kind: 'failedPrecondition' });
    });

    it('an unknown id is notFound, except to a forced delete', async () => {
      await expect(runc.kill('nosuch', 15)).rejects.toMatchObject({ kind: 'notFound' });
      await expect(runc.state('nosuch')).rejects.toMatchObject({ kind: 'notFound' });
      await runc.delete('nosuch', { isForced: true });
    });

    it('an id that looks like a flag is refused before anything runs', async () => {
      await expect(runc.state('--root=/x')).rejects.toThrow(/not one a runtime accepts/);
    });

    it('pause and resume', async () => {
      const { id } = await create(['sleep', '100']);
      await runc.start(id);
      await runc.pause(id);
      expect((await runc.state(id)).status).toBe('paused');
      await runc.resume(id);
      expect((await runc.state(id)).status).toBe('running');
    });

    it('update changes a limit and stats shows it', async () => {
      const { id } = await create(['sleep', '100']);
      await runc.start(id);
      await runc.update(id, { pids: { limit: 77 } });
      expect(await runc.stats(id)).toMatchObject({ type: 'stats', id, data: { pids: { limit: 77 } } });
    });

    it('a terminal is handed over through the console socket', async () => {
      using receiver = listenForFd(join(directory, 'console.sock'));
      const [fd, { id, pid }] = await Promise.all([
        receiver.receive(10_000),
        create(['sh', '-c', 'tty; exit 0'], true, receiver.path),
      ]);
      setNonBlocking(fd, true);
      await runc.start(id);
      await ended(pid);
      const buffer = Buffer.alloc(100);
      expect(buffer.toString('utf8', 0, readNow(fd, buffer))).toContain('/dev/pts/0');
      closeSync(fd);
    });

    it('list and version', async () => {
      const { id } = await create(['sleep', '1']);
      expect((await runc.list()).map((row) => row.id)).toContain(id);
      expect((await runc.version()).version).toMatch(/^\d+\.\d+/);
    });
  });
}
