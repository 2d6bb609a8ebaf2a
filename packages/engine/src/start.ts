/**
 * `npm start`: without arguments the engine in the foreground; with arguments a command of the `boxship` client, for which an
 * engine is started in the background if none runs.
 */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { BoxshipError, messageOf, poll } from '@boxship/base';
import { preflight } from './host/preflight.ts';
import { engineTools } from './host/tools.ts';
import { defaultHost, programPath } from './paths.ts';

const logDirectory = '/var/lib/boxship/log';

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  if (args.length === 0) return runProgram('boxship-engine', []);
  const host = process.env['BOXSHIP_HOST'] ?? process.env['DOCKER_HOST'] ?? defaultHost;
  if (host === defaultHost && !(await isServed())) await startInBackground();
  process.env['BOXSHIP_HOST'] = host;
  return runProgram('boxship', args);
}

function runProgram(name: 'boxship' | 'boxship-engine', args: readonly string[]): number {
  const { status, signal, error } = spawnSync(process.execPath, ['--no-warnings', programPath(name), ...args], {
    stdio: 'inherit',
  });
  if (error !== undefined) throw error;
  return signal === null ? (status ?? 1) : 130;
}

async function startInBackground(): Promise<void> {
  const print = (line: string) => process.stderr.write(`${line}\n`);
  preflight({ tools: engineTools, print });
  if (process.getuid?.() !== 0)
    throw new BoxshipError(
      'permissionDenied',
      'the engine needs root: run as root, or set DOCKER_HOST to one that runs',
    );
  mkdirSync(logDirectory, { recursive: true, mode: 0o711 });
  const logFile = join(logDirectory, 'engine.log');
  const log = openSync(logFile, 'a', 0o640);
  const child = spawn(process.execPath, ['--no-warnings', programPath('boxship-engine')], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  const end = { code: undefined as number | undefined };
  child.on('exit', (code) => {
    end.code = code ?? 1;
  });
  const outcome = await poll({ everyMs: 50, timeoutMs: 60_000 }, async () =>
    (await isReady()) ? 'ready' : end.code === undefined ? undefined : 'ended',
  );
  if (outcome !== 'ready') throw new BoxshipError('unavailable', `the engine did not start: see ${logFile}`);
  print(`engine started in the background (log: ${logFile}); stop it with: kill ${child.pid}`);
}

const socketPath = defaultHost.slice('unix://'.length);

function isServed(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path: socketPath });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** The engine is ready when its first image is there: it is made last. */
async function isReady(): Promise<boolean> {
  if (!(await isServed())) return false;
  const { createEngineClient } = await import('@boxship/engine-api');
  await using client = createEngineClient({ host: defaultHost });
  try {
    await client.images.inspect('boxship/hello');
    return true;
  } catch {
    return false; // not yet: asked again by the caller, up to its deadline
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`boxship: ${messageOf(error)}\n`);
    process.exit(125);
  },
);
