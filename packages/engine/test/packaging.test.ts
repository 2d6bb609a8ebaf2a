/**
 * Each package as a user gets it: packed, installed alone into an empty project, its README example run by plain Node, its
 * programs started. Siblings come as tarballs too; what others publish comes from the package manager's store.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rows } from '../../tooling/layers.ts';
import { readmeExample } from '../../tooling/readme.ts';
import { findProgram } from '../src/host/tools.ts';
import { importBusybox } from './harness/engine-under-test.ts';
import { startContainerd, startDockerd } from './harness/peers.ts';
import { SandboxHost } from './harness/sandbox-host.ts';

const root = join(import.meta.dirname, '../../..');

/** Package → what its example prints. */
const outputs: Readonly<Record<string, RegExp>> = {
  api: /^containerd.events.TaskExit 137$/m,
  archive: /^true 2 hello$/m,
  base: /^shim: runc create of web took longer than 20 ms$/m,
  cli: /^hello world\nexit code 7\nbusybox:latest$/m,
  containerd: /^overlay \d\nfailedPrecondition$/m,
  'containerd-client': /^hello\nnotFound$/m,
  daemon: /^Docker API 1\.50, engine \S+, storage overlay2$/m,
  engine: /^3 hello from web$/m,
  'engine-api': /^hello 3\nnotFound$/m,
  'go-template': /^web {2}RUNNING 80,443$/m,
  'image-store': /^overlay \[ 'etc' \]$/m,
  linux: /^true true false$/m,
  network: /netns\/web 10\.88\.0\.2 8080$/m,
  oci: /^docker\.io\/library\/busybox:latest busybox:latest\narm64$/m,
  'runc-wrapper': /^hello from a container$/m,
  shim: /^exit status 0\ntrue$/m,
  ttrpc: /^hello world$/m,
};

/** Program → arguments with which it says something and ends, and what it says. */
const programs: Readonly<Record<string, readonly [readonly string[], RegExp]>> = {
  boxship: [['--help'], /^Usage: {2}boxship /],
  boxshipd: [['--no-such-flag'], /^boxshipd: Unknown option '--no-such-flag'/],
  'boxship-containerd': [['--help'], /--address, -a SOCKET/],
  'boxship-networkd': [['--help'], /--exec-root/],
  'boxship-cni': [[], /unknown CNI_COMMAND/],
  'boxship-netavark': [['version'], /^{"version":"1\.4/],
  'boxship-engine': [['--help'], /^boxship-engine \[flags of boxshipd\]/],
  'boxship-logger': [['driver', 'json-file'], /^boxship-logger: logging URI: path=/],
  'containerd-shim-boxship-v2': [['-v'], /^containerd-shim-boxship-v2:\n {2}Version:/],
};

interface Manifest {
  readonly packageManager?: string;
  readonly bin?: Readonly<Record<string, string>>;
  readonly exports?: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
}
const readManifest = (directory: string) =>
  JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Manifest;

describe('packages', () => {
  let host: SandboxHost;
  let pnpm: string;
  let env: Record<string, string>;
  const isExample = (name: string) => /^[a-z]+-example-/.test(name);
  const before = new Set(readdirSync('/tmp').filter(isExample));

  beforeAll(async () => {
    host = new SandboxHost();
    pnpm = findPnpm();
    mkdirSync(host.path('tarballs'));
    execFileSync(pnpm, ['--recursive', 'pack', '--pack-destination', host.path('tarballs')], {
      cwd: root,
      stdio: 'pipe',
    });
    const [containerd, dockerd] = await Promise.all([startContainerd(host), startDockerd(host)]);
    await importBusybox(host, dockerd);
    env = {
      DOCKER_HOST: `unix://${dockerd.socket}`,
      CONTAINERD_ADDRESS: containerd.socket,
      BOXSHIP_DIRECTORY: host.path('boxshipd'),
      NODE_OPTIONS: '',
    };
  });
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
    // some examples keep their directory for the reader to look at
    for (const name of readdirSync('/tmp').filter((each) => isExample(each) && !before.has(each)))
      rmSync(join('/tmp', name), { recursive: true });
  });

  it('are all covered here', () => {
    expect(Object.keys(outputs)).toEqual(Object.keys(rows).toSorted());
  });

  describe.each(Object.keys(outputs))('%s', (name) => {
    let project: string;
    let installed: string;

    beforeAll(async () => {
      project = host.path('projects', name);
      installed = join(project, 'node_modules', '@boxship', name);
      mkdirSync(project, { recursive: true });
      const tarball = (each: string) => `file:${host.path('tarballs', `boxship-${each}-${readVersion(each)}.tgz`)}`;
      const siblings = Object.keys(rows).map((each) => [`@boxship/${each}`, tarball(each)] as const);
      writeFileSync(
        join(project, 'package.json'),
        JSON.stringify({ private: true, type: 'module', dependencies: { [`@boxship/${name}`]: tarball(name) } }),
      );
      // JSON is YAML; what npm puts on the top level by itself is hoisted here: examples use siblings too
      const settings = {
        overrides: Object.fromEntries(siblings),
        publicHoistPattern: ['@boxship/*'],
        pmOnFail: 'ignore',
      };
      writeFileSync(join(project, 'pnpm-workspace.yaml'), JSON.stringify(settings));
      const flags = ['--prefer-offline', '--no-frozen-lockfile', '--ignore-scripts', '--reporter=append-only'];
      execFileSync(pnpm, ['install', ...flags], { cwd: project, stdio: 'pipe', timeout: 60_000 });
    });

    it('holds what its manifest promises', () => {
      const { bin = {}, exports = {} } = readManifest(installed);
      const targets = Object.values(exports).flatMap((entry) =>
        typeof entry === 'string' ? [entry] : Object.values(entry),
      );
      const files = [...targets, ...Object.values(bin)].filter((path) => !path.includes('*'));
      expect(files.filter((path) => !existsSync(join(installed, path)))).toEqual([]);
      expect(readdirSync(installed)).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'dist', 'package.json']));
    });

    it('runs the example of its README', async () => {
      writeFileSync(join(project, 'example.ts'), readmeExample(installed));
      rmSync('/tmp/greeter.sock', { force: true });
      const path = [join(project, 'node_modules/.bin'), dirname(process.execPath), process.env['PATH']].join(':');
      const output = await host.must(process.execPath, ['--no-warnings', join(project, 'example.ts')], {
        env: { ...env, PATH: path },
        timeoutMs: 50_000,
      });
      expect(output).toMatch(outputs[name] ?? /$^/);
    });

    it('brings programs that start', async () => {
      for (const bin of Object.keys(readManifest(installed).bin ?? {})) {
        const [args, says] = programs[bin] ?? [['--help'], /$^/];
        const path = [dirname(process.execPath), process.env['PATH']].join(':');
        const { stdout, stderr } = await host.run(join(project, 'node_modules/.bin', bin), args, {
          env: { PATH: path, NODE_OPTIONS: '' },
        });
        expect([bin, `${stdout}${stderr}`]).toEqual([bin, expect.stringMatching(says)]);
      }
    });
  });
});

function readVersion(name: string): string {
  const { version } = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8')) as {
    version: string;
  };
  return version;
}

/** The package manager that the checkout pins; npm brings it where it is not installed. */
function findPnpm(): string {
  const found = findProgram('pnpm');
  if (found !== undefined) return found;
  const { packageManager = 'pnpm' } = readManifest(root);
  return execFileSync('npx', ['--yes', '-p', packageManager, '-c', 'command -v pnpm'], { encoding: 'utf8' }).trim();
}
