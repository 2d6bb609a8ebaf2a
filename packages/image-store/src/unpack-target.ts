/** Unpacks an image that is in the content store already: after a load, an import, a build. */
import type { Descriptor, Digest, Platform } from '@boxship/oci';
import { hostPlatform } from '@boxship/oci';
import { platformImage } from './images/walk.ts';
import { type UnpackOptions, unpack } from './unpack.ts';

export type UnpackTargetOptions = Omit<UnpackOptions, 'config' | 'imageConfig' | 'layers' | 'ready'> & {
  /** Index or manifest. */
  readonly target: Descriptor;
  /** Default: this host's. */
  readonly platform?: Platform;
};

/** @returns the chain id @throws notFound when there is no image for the platform, and as {@link unpack} */
export async function unpackTarget(options: UnpackTargetOptions): Promise<Digest | undefined> {
  const { target, platform = hostPlatform(), ...rest } = options;
  const { manifest, config } = await platformImage(options.content, target, platform);
  return await unpack({ ...rest, config: manifest.config, imageConfig: config, layers: manifest.layers });
}
