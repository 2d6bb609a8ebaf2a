/** What a runtime is, as its shim says with `-info`: options on standard input, `containerd.types.RuntimeInfo` on the output. */
import { basename } from 'node:path';
import { Any } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import { runShimProgram } from './shim-program.ts';

const timeoutMs = 10_000;

/** @throws unknown with the shim's words: shims before containerd 2.0 do not know the flag */
export async function runtimeInfoOf(binary: string, options: Any | undefined): Promise<Any> {
  const input = options === undefined ? undefined : Any.encode(options).finish();
  const { stdout, stderr, code } = await runShimProgram({ binary, args: ['-info'], id: binary, input, timeoutMs });
  if (code !== 0) throw new BoxshipError('unknown', `${basename(binary)} -info: ${stderr.trim()}: exit status ${code}`);
  return { typeUrl: 'containerd.types.RuntimeInfo', value: stdout };
}
