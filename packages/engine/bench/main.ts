/**
 * `pnpm bench`: our engine and Debian's dockerd, each in a network namespace with roots of its own, driven by the same
 * docker CLI in interleaved rounds. Prints the table of ratios and writes it to docs/benchmarks.md.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf } from '@boxship/base';
import { preflight } from '../src/host/preflight.ts';
import { engineTools, testTools } from '../src/host/tools.ts';
import { importBusybox, startEngineUnderTest } from '../test/harness/engine-under-test.ts';
import { startDockerd, startRegistry } from '../test/harness/peers.ts';
import { SandboxHost } from '../test/harness/sandbox-host.ts';
import { giveDisk } from './disk.ts';
import { makeShape } from './images.ts';
import { measure, quantile } from './measure.ts';
import { pssOf } from './memory.ts';
import { networkRows, portRows } from './network.ts';
import { type Docker, type Row, rows } from './rows.ts';
import { shimRows } from './shims.ts';

const memoryContainers = 100;
/** Only the rows whose title has these words are measured, and nothing is written. */
const wanted = process.argv.slice(2).join(' ');

async function main(): Promise<void> {
  preflight({ tools: [...engineTools, ...testTools], print: (line) => console.log(line), keepServicesStopped: true });
  await using ourHost = new SandboxHost();
  await using peerHost = new SandboxHost();
  for (const host of [ourHost, peerHost]) giveDisk(host);
  const ours = await startEngineUnderTest(ourHost);
  const peer = await startDockerd(peerHost);
  await importBusybox(ourHost, ours);
  await importBusybox(peerHost, peer);
  const chosen = [...rows, ...portRows].filter(({ title }) => title.includes(wanted));
  await fillRegistries(chosen, ourHost, peerHost);
  const lines: string[] = [];
  for (const row of chosen) {
    const engines: [string, Docker, SandboxHost][] = [
      ['docker', peer.docker, peerHost],
      ['boxship', ours.docker, ourHost],
    ];
    for (const [, docker, host] of engines) await row.prepare?.(docker, host);
    const [theirs, own] = await measure(
      engines.map(([name, docker, host]) => ({
        name,
        run: () => row.run(docker, host),
        before: async () => await row.before?.(docker, host),
      })),
      row.rounds,
      row.warmUps,
    );
    for (const [, docker, host] of engines) await row.finish?.(docker, host);
    const [a, b] = [theirs?.times ?? [], own?.times ?? []];
    const ratio = quantile(b, 0.5) / quantile(a, 0.5);
    lines.push(`| ${row.title} | ${ms(a)} | ${ms(b)} | **${ratio.toFixed(2)}** | ≤ ${row.target} |`);
    console.log(lines.at(-1));
  }
  await using libraryHost = new SandboxHost();
  giveDisk(libraryHost);
  const network = {
    address: `${ours.execRoot}/network/networkd.sock`,
    directory: ourHost.directory,
    host: libraryHost,
  };
  for await (const line of networkRows(network, wanted)) {
    lines.push(line);
    console.log(line);
  }
  const shims: string[] = [];
  const theirs = { docker: peer.docker, socket: peer.socket, directory: peerHost.directory };
  const own = { docker: ours.docker, socket: ours.socket, directory: ourHost.directory };
  for await (const line of shimRows(peerHost, theirs, own, wanted)) {
    shims.push(line);
    console.log(line);
  }
  if (wanted !== '') return;
  lines.push(await memoryRow(peer.docker, peerHost.directory, ours.docker, ourHost.directory));
  console.log(lines.at(-1));
  const report = `# Benchmarks

Written by \`pnpm bench\`. Both engines ran on one machine (${cpus().length} cores, Linux ${release()}, Node ${process.versions.node}) in interleaved
rounds, each on a disk of its own, driven by the same docker CLI; the peer is Debian's dockerd with its containerd. Times are p25 / median in milliseconds.
The ratio is of the medians: below 1 boxship is faster. The last column is the aim of the design.
Where dockerd cannot be asked for a thing alone, its column is empty and the aim is in milliseconds.

| What | dockerd | boxship | ratio | aim |
| --- | --- | --- | --- | --- |
${lines.join('\n')}

What supervises the containers: a \`containerd-shim-runc-v2\` each there, one shim for all here.

| What | dockerd | boxship | ratio | aim |
| --- | --- | --- | --- | --- |
${shims.join('\n')}
`;
  const target = reportPath();
  if (target !== undefined) writeFileSync(target, report);
  console.log(target === undefined ? report : `written to ${target}`);
}

/** The same images in a registry beside each engine, in front of one directory. */
async function fillRegistries(chosen: readonly Row[], ...hosts: readonly SandboxHost[]): Promise<void> {
  const shapes = chosen.flatMap(({ shape }) => shape ?? []);
  const [first] = hosts;
  if (shapes.length === 0 || first === undefined) return;
  for (const host of hosts) await startRegistry(host, { storage: first.path('registry') });
  for (const shape of shapes) {
    const layout = await makeShape(shape, first.path());
    const to = `docker://127.0.0.1:5000/${shape}:1`;
    const options = ['--insecure-policy', '--dest-tls-verify=false', '--preserve-digests'];
    await first.must('skopeo', ['copy', ...options, `oci:${layout}:t`, to], { timeoutMs: 300_000 });
  }
}

const ms = (times: readonly number[]): string =>
  `${quantile(times, 0.25).toFixed(0)} / ${quantile(times, 0.5).toFixed(0)}`;

async function memoryRow(theirs: Docker, theirRoot: string, own: Docker, ownRoot: string): Promise<string> {
  const start = async (docker: Docker) => {
    for (let i = 0; i < memoryContainers; i++)
      await docker(['run', '-d', '--name', `bench-m${i}`, 'busybox', 'sleep', '100000']);
  };
  await start(theirs);
  await start(own);
  const perContainer = (root: string) => pssOf(root) / memoryContainers / 1e6;
  const [a, b] = [perContainer(theirRoot), perContainer(ownRoot)];
  const names = Array.from({ length: memoryContainers }, (_, i) => `bench-m${i}`);
  await theirs(['rm', '-f', ...names], { timeoutMs: 120_000 });
  await own(['rm', '-f', ...names], { timeoutMs: 120_000 });
  return `| memory (PSS) of the whole engine per container, at ${memoryContainers} | ${a.toFixed(1)} MB | ${b.toFixed(1)} MB | **${(b / a).toFixed(2)}** | ≤ 0.4 at 100 |`;
}

/** docs/benchmarks.md of the checkout; undefined when the program was installed from a package. */
function reportPath(): string | undefined {
  for (
    let directory = dirname(fileURLToPath(import.meta.url));
    directory !== dirname(directory);
    directory = dirname(directory)
  )
    if (existsSync(join(directory, 'pnpm-workspace.yaml'))) return join(directory, 'docs', 'benchmarks.md');
  return undefined;
}

main().catch((error: unknown) => {
  console.error(`bench: ${messageOf(error)}`);
  process.exit(1);
});
