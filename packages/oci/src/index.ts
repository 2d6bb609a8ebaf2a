export { chainId, chainIds } from './chain-id.ts';
export { type Descriptor, parseDescriptor } from './descriptor.ts';
export {
  type Digest,
  type DigestAlgorithm,
  Digester,
  digestAlgorithm,
  digestHex,
  digestOf,
  isDigest,
  parseDigest,
  shortDigest,
} from './digest.ts';
export {
  type HealthcheckConfig,
  type HistoryEntry,
  type ImageConfig,
  type ImageRunConfig,
  maxImageConfigBytes,
  parseImageConfig,
  platformOfConfig,
} from './image-config.ts';
export {
  type ImageIndex,
  type ImageManifest,
  isAttestation,
  type ManifestDocument,
  maxManifestBytes,
  parseJson,
  parseManifest,
  schema1Refusal,
} from './manifest.ts';
export {
  isConfigType,
  isForeignLayerType,
  isIndexType,
  isLayerType,
  isManifestType,
  isSchema1Type,
  type LayerCompression,
  layerCompression,
  manifestAccept,
  mediaTypes,
} from './media-types.ts';
export {
  acceptedPlatforms,
  formatPlatform,
  hostPlatform,
  normalizePlatform,
  type Platform,
  parsePlatform,
  platformRank,
  selectPlatform,
} from './platform.ts';
export { identifierPattern, tagPattern } from './reference/grammar.ts';
export {
  defaultDomain,
  defaultTag,
  familiarName,
  familiarString,
  parseNormalizedNamed,
  tagNameOnly,
} from './reference/normalize.ts';
export {
  formatReference,
  parseReference,
  type Reference,
  referenceErrors,
  repositoryName,
  withDigest,
  withoutTag,
  withTag,
} from './reference/parse.ts';
export type * from './runtime-spec.ts';
