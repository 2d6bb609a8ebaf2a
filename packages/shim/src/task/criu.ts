/** One run of CRIU by the runtime: where it writes its log, what it is told beside the runtime's flags, what it says. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BoxshipError } from '@boxship/base';
import type { Container } from './container.ts';

export interface CriuRun {
  /** The name of CRIU's log. */
  readonly log: 'dump.log' | 'restore.log';
  /** Where to keep the log; empty: nowhere. */
  readonly workPath: string;
  /** Options of CRIU, one a line. */
  readonly config: readonly string[];
}

export interface CriuPaths {
  readonly workPath: string;
  readonly criuConfigPath: string;
}

/** @throws what `work` throws, with CRIU's own words for the reason */
export async function runCriu<T>(
  container: Container,
  run: CriuRun,
  work: (paths: CriuPaths) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(container.bundle, 'criu-'));
  const workPath = run.workPath === '' ? directory : run.workPath;
  const criuConfigPath = join(directory, 'options.conf');
  try {
    mkdirSync(workPath, { recursive: true, mode: 0o700 });
    writeFileSync(criuConfigPath, run.config.map((line) => `${line}\n`).join(''), { mode: 0o600 });
    return await work({ workPath, criuConfigPath });
  } catch (error) {
    throw withReasons(error, reasonsIn(join(workPath, run.log)));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const MAX_REASONS = 3;

/** The last errors in a log of CRIU: `(00.068343) Error (criu/mount.c:1088): mnt: …`. */
function reasonsIn(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return []; // it did not come so far
  }
  const errors = [...text.matchAll(/Error \((.*)$/gm)].map(([line]) => line);
  return errors.filter((line) => !/(?:Dumping|Restoring) FAILED/.test(line)).slice(-MAX_REASONS);
}

function withReasons(error: unknown, reasons: readonly string[]): unknown {
  if (!BoxshipError.is(error) || reasons.length === 0) return error;
  // the second line of the runtime's message names a log that is gone
  const [said = ''] = error.message.split('\n');
  return new BoxshipError(error.kind, `${said}: ${reasons.join('; ')}`, { cause: error, details: error.details });
}
