/**
 * What the engine needs of an OCI runtime, as tests: `ociRuntimeSuite('runc', (options) => new Runc(options))`. Run it against
 * each runtime that is to be supported. Needs root. Of the verbs `events`, `features`, `checkpoint` and `restore`, which
 * runtimes may lack, only a clear refusal is demanded.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BoxshipError, poll } from '@boxship/base';
import { cgroupsOf, listenForFd, processStat, readNow, setNonBlocking } from '@boxship/linux';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Runc } from '../runc.ts';
import { makeBundle, makeRootfs, testPath, testSpec } from './bundle.ts';

export type RuntimeFactory = (options: { readonly root: string; readonly logDirectory: string }) => Runc;

/** @param skipReason why this runtime cannot run here; shown in the suite's name */
export function ociRuntimeSuite(name: string, make: RuntimeFactory, skipReason?: string): void {
  const title = `${name} as OCI runtime${skipReason === undefined ? '' : ` (${skipReason})`}`;
  describe.skipIf(skipReason !== undefined)(title, () => {
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
      expect(await poll({ everyMs: 10, timeoutMs: 20_000 }, () => what() || undefined)).toBe(true);

    /** For verbs that a runtime may lack: undefined, if it says so. */
    const ifImplemented = async <T>(work: Promise<T>): Promise<T | undefined> => {
      try {
        return await work;
      } catch (error) {
        if (BoxshipError.is(error, 'unimplemented')) return undefined;
        throw error;
      }
    };

    function bundleFor(args: readonly string[], isTerminal = false) {
      const id = `t${randomBytes(6).toString('hex')}`;
      const spec = testSpec({ rootfs, args, isTerminal, cgroupsPath: `/boxship-test/${id}` });
      created.push(id);
      return { id, bundle: makeBundle(join(directory, id), spec) };
    }

    const processFileIn = (bundle: string, args: readonly string[]) => {
      const path = join(bundle, 'process.json');
      writeFileSync(path, JSON.stringify({ user: { uid: 0, gid: 0 }, args, env: [testPath], cwd: '/' }));
      return path;
    };

    async function create(args: readonly string[], isTerminal = false, consoleSocket?: string) {
      const { id, bundle } = bundleFor(args, isTerminal);
      const output = join(bundle, 'output');
      const fd = openSync(output, 'a');
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
      const processFile = processFileIn(bundle, ['sleep', '50']);
      const execPid = await runc.exec(id, { processFile, pidFile: join(bundle, 'e.pid') });
      expect((await runc.ps(id)).toSorted()).toEqual([pid, execPid].toSorted());
      await runc.kill(id, 'KILL');
      await ended(execPid);
    });

    it('a program that does not exist names itself in the error of create', async () => {
      await expect(create(['/nope'])).rejects.toThrow(/\/nope.*no such file or directory/i);
    });

    it('states that forbid a verb give failedPrecondition', async () => {
      const { id } = await create(['sleep', '100']);
      await runc.start(id);
      await expect(runc.start(id)).rejects.toMatchObject({ kind: 'failedPrecondition' });
      await expect(runc.delete(id)).rejects.toMatchObject({ kind: 'failedPrecondition' });
      // to resume what is not paused, runc refuses and crun finds no fault with
      const refusal: unknown = await runc.resume(id).catch((error: unknown) => error);
      expect([undefined, 'failedPrecondition']).toContain((refusal as BoxshipError | undefined)?.kind);
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

    it('update changes a limit; stats and events show it', async () => {
      const { id, pid } = await create(['sleep', '100']);
      await runc.start(id);
      await runc.update(id, { pids: { limit: 77 } });
      const directory = cgroupsOf(pid);
      const path = directory?.version === 2 ? directory.unified : directory?.controllers.get('pids');
      expect(readFileSync(`${path}/pids.max`, 'utf8')).toBe('77\n');
      const expected = { type: 'stats', id, data: { pids: { limit: 77 } } };
      const stats = await ifImplemented(runc.stats(id));
      if (stats === undefined) return;
      expect(stats).toMatchObject(expected);
      for await (const event of runc.events(id, { intervalSeconds: 1 })) {
        expect(event).toMatchObject(expected);
        break;
      }
      const abort = new AbortController();
      const stream = runc.events(id, { intervalSeconds: 1, signal: abort.signal });
      expect((await stream.next()).value).toMatchObject(expected);
      abort.abort(new Error('enough'));
      await expect(stream.next()).rejects.toThrow('enough');
    });

    it('run stays to the end and passes the exit code on, its own failures are errors', async () => {
      const { id, bundle } = bundleFor(['sh', '-c', 'echo ran; exit 9']);
      const output = join(bundle, 'output');
      const stdout = openSync(output, 'w');
      expect(await runc.run(id, { bundle, stdio: { stdout } })).toBe(9);
      closeSync(stdout);
      expect(readFileSync(output, 'utf8')).toBe('ran\n');
      await expect(runc.state(id)).rejects.toMatchObject({ kind: 'notFound' });
      const bad = bundleFor(['/nope']);
      await expect(runc.run(bad.id, { bundle: bad.bundle })).rejects.toThrow(/\/nope/);
    });

    it('runDetached leaves the container running; execToEnd gives the code of a process in it', async () => {
      const { id, bundle } = bundleFor(['sleep', '100']);
      const pid = await runc.runDetached(id, { bundle, pidFile: join(bundle, 'init.pid') });
      expect(await runc.state(id)).toMatchObject({ pid, status: 'running' });
      expect(await runc.execToEnd(id, { processFile: processFileIn(bundle, ['sh', '-c', 'exit 6']) })).toBe(6);
      await expect(runc.execToEnd(id, { processFile: processFileIn(bundle, ['/nope']) })).rejects.toThrow(/\/nope/);
    });

    it('exactly the descriptors that are named reach the process', async () => {
      const { id, bundle } = bundleFor(['sh', '-c', 'echo "$(ls /proc/self/fd | tr "\\n" " ")" >&4; cat <&3 >&4']);
      const [from, to] = [join(bundle, 'from'), join(bundle, 'to')];
      writeFileSync(from, 'through');
      const extra = [openSync(from, 'r'), openSync(to, 'w')];
      // one more that is open here and named nowhere
      const stray = openSync(from, 'r');
      expect(await runc.run(id, { bundle, stdio: { extra } })).toBe(0);
      for (const fd of [...extra, stray]) closeSync(fd);
      // 5 is the directory that ls reads
      expect(readFileSync(to, 'utf8')).toBe('0 1 2 3 4 5 \nthrough');
    });

    it('top shows the processes as ps does', async () => {
      const { id, pid } = await create(['sleep', '100']);
      await runc.start(id);
      const table = await ifImplemented(runc.top(id, ['-e', '-o', 'pid,args']));
      if (table === undefined) return;
      expect(table.headers).toContain('PID');
      expect(table.processes.some((row) => row.includes(String(pid)))).toBe(true);
    });

    it('spec writes a specification that the runtime runs', async () => {
      const bundle = join(directory, 'spec');
      mkdirSync(bundle);
      expect(await runc.spec(bundle)).toMatchObject({ root: { path: 'rootfs' }, process: { args: ['sh'] } });
      await expect(runc.spec(bundle)).rejects.toThrow();
    });

    it('features names what it can do, or that it cannot say', async () => {
      const features = await ifImplemented(runc.features());
      if (features === undefined) return;
      expect(features.ociVersionMax).toMatch(/^1\./);
      expect(features.hooks).toContain('prestart');
    });

    it('checkpoint and restore take a container along where CRIU works, and say why where it does not', async () => {
      // its stdio is /dev/null: CRIU does not take files along that are open from outside
      const { id, bundle } = bundleFor([
        'sh',
        '-c',
        'i=0; while :; do i=$((i+1)); echo $i >> /tmp/count; usleep 50000; done',
      ]);
      const pid = await runc.runDetached(id, { bundle, pidFile: join(bundle, 'init.pid') });
      const [imagePath, workPath] = [join(bundle, 'image'), join(bundle, 'criu')];
      for (const path of [imagePath, workPath]) mkdirSync(path);
      const checkpoint = runc.checkpoint(id, { imagePath, workPath, isFileLocks: true });
      if (!isCriuWorking()) {
        await expect(checkpoint).rejects.toMatchObject({ message: expect.stringMatching(/./) as string });
        expect((await runc.state(id)).status).toBe('running');
        return;
      }
      if ((await ifImplemented(checkpoint.then(() => true))) === undefined) return;
      await ended(pid);
      const lines = () => readFileSync(join(rootfs, 'tmp/count'), 'utf8').trim().split('\n').map(Number);
      const before = lines().length;
      await runc.delete(id, { isForced: true });
      const pidFile = join(bundle, 'restored.pid');
      const restored = await runc.restore(id, { imagePath, workPath, bundle, pidFile });
      expect(await runc.state(id)).toMatchObject({ pid: restored, status: 'running' });
      await until(() => lines().length > before + 3);
      expect(lines().every((line, index) => line === index + 1)).toBe(true);
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

/** CRIU must match the kernel: one that is installed need not work. */
const isCriuWorking = (): boolean => spawnSync('criu', ['check'], { stdio: 'ignore' }).status === 0;
