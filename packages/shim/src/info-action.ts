/** The flag `-info`: what this shim and its runtime are, as `containerd.types.RuntimeInfo` on standard output. */
import { Any, decodeAny, type runcOptions, runtimeInfo } from '@boxship/api';
import { Runc } from '@boxship/runc-wrapper';

export const VERSION = '0.1.0';
export const RUNTIME_NAME = 'io.containerd.boxship.v2';

/** @param input the runtime's options as an encoded Any, or nothing */
export async function describeRuntime(input: Uint8Array): Promise<Uint8Array> {
  const options = input.length === 0 ? undefined : Any.decode(input);
  const decoded = options === undefined ? undefined : decodeAny(options);
  const chosen = decoded?.kind === 'message' ? (decoded.value as Partial<runcOptions.Options>).binaryName : undefined;
  const runtime = new Runc({ binary: chosen || 'runc', logDirectory: '/tmp' });
  const [version, features] = await Promise.all([
    runtime.version().catch(() => undefined), // without a runtime the shim can still say what itself is
    runtime.features().catch(() => undefined),
  ]);
  return runtimeInfo.RuntimeInfo.encode({
    name: RUNTIME_NAME,
    version: { version: VERSION, revision: '' },
    options,
    features:
      features === undefined
        ? undefined
        : Any.fromPartial({
            typeUrl: 'types.containerd.io/opencontainers/runtime-spec/1/features/Features',
            value: Buffer.from(JSON.stringify(features)),
          }),
    annotations: { 'containerd.io/runtime-allow-mounts': '', 'boxship.io/oci-runtime-version': version?.version ?? '' },
  }).finish();
}
