/** Runs test files of the packages inside the virtual machine and tells how each test ended. */
import { join } from 'node:path';
import { runInVirtualMachine } from './virtual-machine.ts';

const root = join(import.meta.dirname, '../../..');
const MARK = 'report of the tests: ';

export interface TestOutcome {
  /** Descriptions, outermost first. */
  readonly name: string;
  readonly status: 'passed' | 'failed' | 'skipped' | 'pending';
  readonly failure: string;
}

interface Report {
  readonly testResults: readonly {
    readonly message?: string;
    readonly name: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: TestOutcome['status'];
      readonly failureMessages: readonly string[] | null;
    }[];
  }[];
}

/**
 * @param files paths below `packages/`
 * @param options.only a pattern of test names
 * @param options.modules of the kernel, to be loaded before
 * @param options.isBuilt packages and programs as they are built, not from their sources: loading takes a third of the time
 */
export async function runTestsInVirtualMachine(
  files: readonly string[],
  options: {
    readonly timeoutMs: number;
    readonly only?: string;
    readonly modules?: readonly string[];
    readonly isBuilt?: boolean;
  },
): Promise<TestOutcome[]> {
  const only = options.only === undefined ? '' : `-t '${options.only}'`;
  const command = `
export PATH=${root}/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
${options.isBuilt === true ? 'export BOXSHIP_TEST_BUILT=1' : ''}
${(options.modules ?? []).map((name) => `modprobe ${name}`).join('; ')}
vitest run --config packages/tooling/vm/vitest.config.ts --reporter=json --outputFile=$TMPDIR/report ${only} ${files.join(' ')}
printf '\\n${MARK}'; cat $TMPDIR/report`;
  let { output, at, report } = await runAndReport(command, options.timeoutMs);
  // V8 dies now and then under emulation while it loads: a file of which no test began is tried once more
  if (report.testResults.some(({ assertionResults }) => assertionResults.length === 0))
    ({ output, at, report } = await runAndReport(command, options.timeoutMs));
  return report.testResults.flatMap(({ name, message, assertionResults }) =>
    assertionResults.length === 0
      ? [{ name, status: 'failed' as const, failure: message || output.slice(-4000, at) }]
      : assertionResults.map(({ fullName, status, failureMessages }) => ({
          name: fullName,
          status,
          failure: failureMessages?.join('\n') ?? '',
        })),
  );
}

async function runAndReport(
  command: string,
  timeoutMs: number,
): Promise<{ readonly output: string; readonly at: number; readonly report: Report }> {
  const { output } = await runInVirtualMachine({ command, directory: root, timeoutMs });
  const at = output.lastIndexOf(MARK);
  if (at < 0) throw new Error(`the tests did not come to an end:\n${output}`);
  return { output, at, report: JSON.parse(output.slice(at + MARK.length)) as Report };
}
