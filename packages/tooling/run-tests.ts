/** `npm test`: the tests of every package, one package at a time; ends with a list of what failed. */
import { spawnSync } from 'node:child_process';
import { clearFailures, readFailures } from './failure-file.ts';

clearFailures();
const { status, error } = spawnSync('turbo', ['run', 'test', '--concurrency=1', '--continue=always'], {
  stdio: 'inherit',
  env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' },
});
if (error !== undefined) throw error;
const failures = readFailures();
if (failures.length > 0) process.stdout.write(`\n${failures.join('')}`);
process.exitCode = status ?? 1;
