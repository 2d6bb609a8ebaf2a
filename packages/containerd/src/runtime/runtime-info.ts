/** What a runtime is, as its shim says with `-info`: options on standard input, `containerd.types.RuntimeInfo` on the output. */
import { spawn } from 'node:child_process';
import { basename, delimiter, dirname } from 'node:path';
import { Any } from '@boxship/api';
import { BoxshipError, withDeadline } from '@boxship/base';

const timeoutMs = 10_000;

/** @throws unknown with the shim's words: shims before containerd 2.0 do not know the flag */
export async function runtimeInfoOf(binary: string, options: Any | undefined): Promise<Any> {
  const operation = `${basename(binary)} -info`;
  return await withDeadline({ component: 'containerd', operation, id: binary, timeoutMs }, async (signal) => {
    const child = spawn(binary, ['-info'], {
      env: { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}` },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    signal.addEventListener('abort', () => child.kill('SIGKILL'), { once: true });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes));
    child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes));
    child.stdin.on('error', () => {}); // EPIPE: it has ended without reading
    child.stdin.end(options === undefined ? undefined : Any.encode(options).finish());
    const code = await new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (status) => resolve(status ?? 1));
    });
    if (code !== 0)
      throw new BoxshipError(
        'unknown',
        `${operation}: ${Buffer.concat(stderr).toString().trim()}: exit status ${code}`,
      );
    return { typeUrl: 'containerd.types.RuntimeInfo', value: Buffer.concat(stdout) };
  });
}
