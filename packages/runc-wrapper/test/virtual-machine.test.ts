/**
 * What the host's kernel cannot show: runtimes and cgroups on a machine whose only hierarchy is version 2, and checkpoints
 * where CRIU matches the kernel. The same test files as everywhere, run inside a small virtual machine.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { runTestsInVirtualMachine, type TestOutcome } from '../../tooling/vm/run-tests.ts';
import { missingForMachine } from '../../tooling/vm/virtual-machine.ts';

const missing = missingForMachine();
const files = ['linux/test/cgroup-v2.test.ts', 'runc-wrapper/test/runc.test.ts'];

describe.skipIf(missing.length > 0)(
  `cgroup version 2${missing.length > 0 ? ` (missing: ${missing.join(', ')})` : ''}`,
  () => {
    let outcomes: TestOutcome[] = [];
    beforeAll(async () => {
      // of runc, which the host can run, only what depends on cgroups and CRIU: emulation is slow
      const only = 'crun as OCI runtime|cgroups of version 2|runc as OCI runtime.{1,3}(pause|update|checkpoint)';
      outcomes = await runTestsInVirtualMachine(files, { timeoutMs: 240_000, only });
    }, 250_000);

    const passed = (part: string) =>
      outcomes.filter(({ name, status }) => name.startsWith(part) && status === 'passed');

    it('no test fails there', () => {
      expect(outcomes.filter(({ status }) => status === 'failed')).toEqual([]);
    });

    it.each([
      ['cgroups of version 2, the whole machine over', 3],
      ['runc as OCI runtime', 3],
      ['crun as OCI runtime', 18],
    ])('%s: %i tests pass', (part, count) => {
      expect(passed(part).map(({ name }) => name)).toHaveLength(count);
    });
  },
);
