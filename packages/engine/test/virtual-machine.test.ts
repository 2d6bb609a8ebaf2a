/** The engine where the kernel is as users have it: cgroup version 2 alone, and AppArmor. In a small virtual machine. */
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { missingForMachine, runInVirtualMachine } from '../../tooling/vm/virtual-machine.ts';
import { programPath } from '../src/paths.ts';
import { dockerProgram } from './harness/engine-under-test.ts';

const missing = missingForMachine();
const why = missing.length === 0 ? '' : ` (missing: ${missing.join(', ')})`;

describe.skipIf(missing.length > 0)(`cgroup version 2 and AppArmor${why}`, () => {
  let facts = new Map<string, string>();
  beforeAll(async () => {
    const directory = join(import.meta.dirname, '../../..');
    const script = join(import.meta.dirname, 'harness/in-virtual-machine.sh');
    const path = `${directory}/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
    const command = `PATH=${path} sh ${script} ${dockerProgram} ${programPath('boxship-engine')}`;
    const { code, output } = await runInVirtualMachine({ command, directory, timeoutMs: 240_000 });
    if (code !== 0) throw new Error(`the script ended with ${code}:\n${output}`);
    facts = new Map(output.split('\n').map((line) => line.trim().split(/: ?(.*)/s, 2) as [string, string]));
  }, 250_000);

  it.each([
    ['cgroups', '2 cgroupfs'],
    ['security', 'name=apparmor name=seccomp,profile=builtin name=cgroupns'],
    ['limits', `${64 * 2 ** 20} ${64 * 2 ** 20} 50000 100000 50 0`],
    ['own cgroup', '0::/'],
    ['profile', 'boxship-default (enforce)'],
    ['profile unconfined', 'unconfined'],
    ['inspected', 'boxship-default private running'],
    ['paused', 'paused'],
    ['updated', `${128 * 2 ** 20}`],
    ['oom', 'true 137'],
    ['checkpoint', ''],
    ['restore', ''],
    ['left of checkpoints', ''],
    ['left', ''],
  ])('%s: %s', (name, value) => {
    expect(facts.get(name)).toBe(value);
  });

  it('goes on in another container from what ctr has checkpointed', () => {
    expect(facts.get('restored')).toContain('exit code 7');
  });

  it('keeps a container with the right to mount from mounting', () => {
    expect(facts.get('mount')).toMatch(/mount: .*(Permission denied|denied)/i);
  });

  it('publishes ports, counts memory and processes, and stops', () => {
    expect(facts.get('port')).toMatch(/^[0-9a-f]{12}$/);
    expect(facts.get('stats')).toMatch(/^[\d.]+[KM]iB \/ 64MiB 1$/);
    expect(facts.get('stopped')).toBe('box');
    expect(facts.get('code')).toBe('137'); // httpd is deaf to SIGTERM as process 1
  });
});
