/**
 * The media types of images, OCI's and Docker's, and the questions that readers ask about them. Sources: OCI image-spec
 * "media types" and Docker's image manifest version 2, schema 2.
 */
export const mediaTypes = {
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  ociForeignLayer: 'application/vnd.oci.image.layer.nondistributable.v1.tar',
  ociForeignLayerGzip: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  ociForeignLayerZstd: 'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
  ociEmpty: 'application/vnd.oci.empty.v1+json',
  inToto: 'application/vnd.in-toto+json',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerLayerZstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
  dockerForeignLayer: 'application/vnd.docker.image.rootfs.foreign.diff.tar',
  dockerForeignLayerGzip: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  dockerSchema1: 'application/vnd.docker.distribution.manifest.v1+json',
  dockerSchema1Signed: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
} as const;

/** What to send as Accept when asking for a manifest: never schema 1. */
export const manifestAccept = [
  mediaTypes.ociIndex,
  mediaTypes.dockerIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerManifest,
  '*/*',
].join(', ');

export const isIndexType = (type: string): boolean => type === mediaTypes.ociIndex || type === mediaTypes.dockerIndex;
export const isManifestType = (type: string): boolean =>
  type === mediaTypes.ociManifest || type === mediaTypes.dockerManifest;
export const isConfigType = (type: string): boolean =>
  type === mediaTypes.ociConfig || type === mediaTypes.dockerConfig;
export const isSchema1Type = (type: string): boolean =>
  type === mediaTypes.dockerSchema1 || type === mediaTypes.dockerSchema1Signed;
/** Layers whose bytes the registry need not have (`urls`). */
export const isForeignLayerType = (type: string): boolean =>
  type.startsWith(mediaTypes.ociForeignLayer) || type.startsWith(mediaTypes.dockerForeignLayer);
/** Tar layers of a root file system, in any compression. */
export const isLayerType = (type: string): boolean =>
  type.startsWith(mediaTypes.ociLayer) || type.startsWith(mediaTypes.dockerLayer) || isForeignLayerType(type);

export type LayerCompression = 'none' | 'gzip' | 'zstd';

/** The compression that a layer type promises; readers still sniff, since the promise is broken in the wild. */
export function layerCompression(type: string): LayerCompression {
  if (type.endsWith('gzip')) return 'gzip';
  return type.endsWith('zstd') ? 'zstd' : 'none';
}
