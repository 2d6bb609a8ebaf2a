/** The reference implementation reads what we write and unpacks to the same trees. */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { chainIds, parsePlatform } from '@boxship/oci';
import { expect, it } from 'vitest';
import {
  exportImages,
  importImages,
  LocalApplier,
  MemoryContentStore,
  OverlaySnapshotter,
  platformImage,
  unpackTarget,
  withMounts,
} from '../src/index.ts';
import { makeLayout } from './support/images.ts';

const isPossible = process.getuid?.() === 0 && existsSync('/usr/bin/containerd') && existsSync('/usr/bin/ctr');

it.skipIf(!isPossible)('containerd imports a saved image and mounts the same tree', async () => {
  const root = mkdtempSync(join(tmpdir(), 'with-containerd-'));
  const address = join(root, 'containerd.sock');
  mkdirSync(join(root, 'etc'));
  writeFileSync(
    join(root, 'config.toml'),
    `version = 2\nroot = "${root}/root"\nstate = "${root}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "${address}"\n`,
  );
  const containerd = spawn('/usr/bin/containerd', ['--config', join(root, 'config.toml')], { stdio: 'ignore' });
  const ctr = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)('/usr/bin/ctr', ['--address', address, ...args], { timeout: 30_000 })).stdout;
  try {
    for (
      let left = 200;
      !(await ctr('version').then(
        () => true,
        () => false,
      ));
      left--
    ) {
      if (left === 0) throw new Error('containerd does not start');
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    const content = new MemoryContentStore();
    using layout = makeLayout([
      {
        platform: { os: 'linux', architecture: 'amd64' },
        layers: [
          { 'd/below': 'x', gone: 'x', 'etc/os': 'one' },
          { 'd/.wh..wh..opq': '', 'd/above': 'y', '.wh.gone': '' },
          { 'etc/os': 'three' },
        ],
      },
    ]);
    async function* tar(): AsyncGenerator<Uint8Array> {
      yield execFileSync('tar', ['-cf', '-', '-C', layout.path, '.']);
    }
    const [image] = await importImages({ content, source: tar() });
    if (image === undefined) throw new Error('no image');
    const archive = join(root, 'saved.tar');
    await pipeline(
      exportImages({ content, images: [{ target: image.target, names: ['docker.io/library/x:1'] }] }),
      createWriteStream(archive),
    );
    expect(await ctr('images', 'import', archive)).toContain('docker.io/library/x:1');
    expect(await ctr('images', 'list', '-q')).toBe('docker.io/library/x:1\n');
    const theirs = join(root, 'theirs');
    mkdirSync(theirs);
    await ctr('images', 'mount', 'docker.io/library/x:1', theirs);
    const snapshotter = new OverlaySnapshotter({ root: join(root, 'ours'), isDurable: false });
    const top = await unpackTarget({
      content,
      snapshotter,
      snapshotterName: 'overlayfs',
      applier: new LocalApplier(content),
      target: image.target,
    });
    const { config } = await platformImage(content, image.target, parsePlatform('linux/amd64'));
    expect(top).toBe(chainIds(config.rootfs.diff_ids).at(-1));
    await withMounts(await snapshotter.view('v', top as string), async (ours) => {
      const facts = (path: string): string =>
        execFileSync('sh', [
          '-c',
          `cd ${path} && find . -mindepth 1 -printf '%P %m %U:%G %s %T@\\n' | sort`,
        ]).toString();
      expect(facts(ours)).toBe(facts(theirs));
      expect(facts(ours)).toContain('d/above');
    });
    await snapshotter.close();
    await ctr('images', 'unmount', theirs);
  } finally {
    const ended = new Promise((resolve) => containerd.once('exit', resolve));
    containerd.kill('SIGTERM');
    await ended;
    execFileSync('sh', [
      '-c',
      `for m in $(awk '$5 ~ "^${root}" {print $5}' /proc/self/mountinfo | tac); do umount -l $m; done`,
    ]);
    rmSync(root, { recursive: true, force: true });
  }
});
