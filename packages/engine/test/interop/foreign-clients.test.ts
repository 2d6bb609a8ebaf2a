/** Clients of the Engine API that are not Docker's own: docker-py and docker-compose, as the distribution has them. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { poll } from '@boxship/base';
import { beforeEach, describe, expect, it } from 'vitest';
import { newerCliPlugins } from '../../src/host/newer-peers.ts';
import { takeCensus } from '../harness/census.ts';
import { engineForFile } from '../harness/engine-for-file.ts';
import { dockerProgram } from '../harness/engine-under-test.ts';
import { generations } from '../harness/generations.ts';
import type { RunResult } from '../harness/sandbox-host.ts';

const { host, engine } = await engineForFile();

const env = () => ({
  DOCKER_HOST: `unix://${engine.socket}`,
  HOME: host.directory,
  DOCKER_CONFIG: host.path('client'),
});
mkdirSync(host.path('client'), { recursive: true });
writeFileSync(host.path('client/config.json'), JSON.stringify({ cliPluginsExtraDirs: [newerCliPlugins] }));

it('docker-py runs, streams, copies, connects, commits', async () => {
  const before = takeCensus(host, engine);
  const program = join(import.meta.dirname, 'programs/docker_py.py');
  // Debian's own Python: another one in the search path has not got the library
  const result = await host.run('/usr/bin/python3', ['-W', 'ignore', program], { env: env(), timeoutMs: 60_000 });
  expect(result).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(takeCensus(host, engine)).toEqual(before);
}, 60_000);

const composes = [
  { version: '1.29', missing: undefined, program: 'docker-compose', first: [] },
  { version: '2.26', missing: generations[1]?.missing, program: dockerProgram, first: ['compose'] },
];

describe.each(composes)('compose $version', ({ program, first, missing }) => {
  beforeEach((context) => context.skip(missing !== undefined, missing));

  const project = `
version: "3.8"
services:
  web:
    image: busybox
    command: ["sh", "-c", "echo hello > /var/www/index.html; exec httpd -f -h /var/www"]
    ports: ["18080:80"]
    volumes: ["data:/data", "./source:/source:ro"]
    healthcheck: {test: ["CMD", "true"], interval: 1s}
    restart: unless-stopped
  client:
    image: busybox
    command: ["sh", "-c", "ping -c 1 web && echo reached; sleep 1000"]
    depends_on: [web]
    networks: {default: {aliases: [other]}, back: {}}
    logging: {driver: json-file, options: {max-size: 1m}}
networks: {back: {internal: true}}
volumes: {data: {}}
`;
  const compose = (...args: string[]): Promise<RunResult> =>
    host.run(program, [...first, '-p', 'shop', '-f', host.path('shop/docker-compose.yml'), ...args], {
      env: env(),
      timeoutMs: 60_000,
    });
  const must = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await compose(...args);
    if (code !== 0) throw new Error(`compose ${args.join(' ')}: ${stderr}`);
    return stdout;
  };

  it('brings a project up, scales it, restarts it and takes it down', async () => {
    const before = takeCensus(host, engine);
    mkdirSync(host.path('shop/source'), { recursive: true });
    writeFileSync(host.path('shop/docker-compose.yml'), project);
    await must('up', '-d');
    const logs = await poll({ everyMs: 100, timeoutMs: 10_000 }, async () => {
      const text = await must('logs', 'client');
      return text.includes('reached') ? text : undefined;
    });
    expect(logs).toContain('1 packets received');
    expect(await must('exec', '-T', 'client', 'wget', '-qO-', 'http://web')).toBe('hello\n');
    expect(await host.must('curl', ['-sf', 'http://127.0.0.1:18080'])).toBe('hello\n');
    await must('up', '-d', '--scale', 'client=2');
    expect((await must('ps', '-q', 'client')).trim().split('\n')).toHaveLength(2);
    expect(await must('run', '--rm', 'client', 'cat', '/etc/hostname')).toMatch(/^[0-9a-f]{12}\n$/);
    await must('restart', '-t', '0', 'web');
    await must('stop', '-t', '0');
    await must('start');
    expect(await must('port', 'web', '80')).toBe('0.0.0.0:18080\n');
    await must('down', '-v', '-t', '0');
    expect(await engine.mustDocker(['ps', '-aq'])).toBe('');
    expect(await engine.mustDocker(['volume', 'ls', '-q'])).toBe('');
    expect(takeCensus(host, engine)).toEqual(before);
  }, 120_000);
});
