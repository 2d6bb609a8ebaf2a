/** What an engine leaves in the kernel: counted before and after, the difference must be nothing. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { EngineUnderTest } from './engine-under-test.ts';
import { processesWith } from './engine-under-test.ts';
import type { SandboxHost } from './sandbox-host.ts';

export interface Census {
  readonly mounts: number;
  readonly namespaces: number;
  readonly links: number;
  readonly runcProcesses: number;
  readonly bundles: number;
  readonly attachSockets: number;
}

export function takeCensus(host: SandboxHost, engine: EngineUnderTest): Census {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(host.directory));
  const isNamespace = (line: string) => line.includes(' nsfs ') || line.includes('net:[');
  const links = execFileSync('ip', ['-n', host.name, '-o', 'link'], { encoding: 'utf8' }).trim().split('\n');
  const count = (path: string) =>
    existsSync(path) ? readdirSync(path).filter((name) => !name.startsWith('.')).length : 0;
  return {
    mounts: lines.filter((line) => !isNamespace(line)).length,
    namespaces: lines.filter(isNamespace).length,
    links: links.filter((line) => line.includes('veth') || line.includes('@if')).length,
    runcProcesses: processesWith(engine.execRoot).filter(({ commandLine }) => commandLine.includes('runc')).length,
    bundles: count(`${engine.execRoot}/containerd/io.containerd.runtime.v2.task/moby`),
    attachSockets: count(`${engine.execRoot}/attach`),
  };
}

/** Cgroups of these containers that still exist, on either version of cgroups. */
export function leftCgroups(ids: readonly string[]): string[] {
  return ids.flatMap((id) =>
    ['/sys/fs/cgroup/memory/docker', '/sys/fs/cgroup/docker']
      .map((parent) => `${parent}/${id}`)
      .filter((path) => existsSync(path)),
  );
}
