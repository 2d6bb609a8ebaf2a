/**
 * Image manifests and indexes, read from bytes that a stranger wrote. The kind of a document is found by its shape and must
 * agree with every type that is claimed for it: bytes that read as both kinds let two tools see two images under one
 * digest (GO-2024-2914). The bytes are never re-serialised; the digest is over them as received.
 */
import { BoxshipError } from '@boxship/base';
import { asRecord, type Descriptor, optionalString, optionalStringMap, parseDescriptor } from './descriptor.ts';
import { isIndexType, isManifestType, isSchema1Type, mediaTypes } from './media-types.ts';

/** Registries accept manifests up to this size. */
export const maxManifestBytes = 4 * 1024 * 1024;
const maxLayers = 1024;
const maxIndexEntries = 4096;

export interface ImageManifest {
  readonly kind: 'manifest';
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly artifactType?: string;
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ImageIndex {
  readonly kind: 'index';
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly artifactType?: string;
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

export type ManifestDocument = ImageManifest | ImageIndex;

/** Why schema 1 is refused, in the words of the current engine. */
export const schema1Refusal = (reference: string): string =>
  `Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. Suggest the author of ${reference} to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2. More information at https://docs.docker.com/go/deprecated-image-specs/`;

/**
 * Parses a manifest or an index.
 * @param mediaType what the carrier says (Content-Type, descriptor); '' when it says nothing
 * @throws invalidArgument for malformed or ambiguous documents; unimplemented for schema 1
 */
export function parseManifest(bytes: Uint8Array, mediaType = '', reference = 'the image'): ManifestDocument {
  if (bytes.length > maxManifestBytes)
    throw invalid(`manifest of ${bytes.length} bytes is larger than the limit of ${maxManifestBytes} bytes`);
  const document = asRecord(parseJson(bytes, 'manifest'), 'manifest');
  const claimed = mediaType.split(';', 1)[0]?.trim() ?? '';
  const inside = optionalString(document['mediaType'], 'manifest.mediaType') ?? '';
  if (isSchema1Type(claimed) || isSchema1Type(inside) || document['schemaVersion'] === 1 || 'fsLayers' in document)
    throw new BoxshipError('unimplemented', schema1Refusal(reference));
  const hasManifests = isPresent(document['manifests']);
  const hasLayers = isPresent(document['layers']) || isPresent(document['config']);
  if (hasManifests && hasLayers)
    throw invalid('manifest is ambiguous: it has both "manifests" and "layers" or "config"');
  const kind = hasManifests ? 'index' : hasLayers ? 'manifest' : isIndexType(inside || claimed) ? 'index' : undefined;
  if (kind === undefined)
    throw new BoxshipError(
      'unimplemented',
      `unsupported media type ${inside || claimed || '(none)'}: neither manifest nor index`,
    );
  for (const [type, carrier] of [[claimed, 'carrier'] as const, [inside, 'document'] as const]) {
    if ((isIndexType(type) && kind !== 'index') || (isManifestType(type) && kind !== 'manifest'))
      throw invalid(
        `manifest is ambiguous: the ${carrier} says ${type}, the content is an ${kind === 'index' ? 'index' : 'image manifest'}`,
      );
  }
  if (inside !== '' && isKnown(claimed) && inside !== claimed)
    throw invalid(`manifest is ambiguous: carried as ${claimed}, names itself ${inside}`);
  const known = isKnown(inside) ? inside : isKnown(claimed) ? claimed : '';
  const type = known !== '' ? known : kind === 'index' ? mediaTypes.ociIndex : mediaTypes.ociManifest;
  const artifactType = optionalString(document['artifactType'], 'manifest.artifactType');
  const annotations = optionalStringMap(document['annotations'], 'manifest.annotations');
  const subject = isPresent(document['subject']) ? parseDescriptor(document['subject'], 'manifest.subject') : undefined;
  const common = {
    mediaType: type,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(subject === undefined ? {} : { subject }),
    ...(annotations === undefined ? {} : { annotations }),
  };
  if (kind === 'index') {
    const manifests = list(document['manifests'] ?? [], 'manifest.manifests', maxIndexEntries);
    return { kind, ...common, manifests };
  }
  const config = parseDescriptor(document['config'], 'manifest.config');
  return { kind, ...common, config, layers: list(document['layers'] ?? [], 'manifest.layers', maxLayers) };
}

const isKnown = (type: string): boolean => isIndexType(type) || isManifestType(type);
const isPresent = (value: unknown): boolean => value !== undefined && value !== null;

function list(value: unknown, where: string, limit: number): Descriptor[] {
  if (!Array.isArray(value)) throw invalid(`${where} must be a list`);
  if (value.length > limit) throw invalid(`${where} has ${value.length} entries; the limit is ${limit}`);
  return value.map((entry, index) => parseDescriptor(entry, `${where}[${index}]`));
}

const invalid = (message: string): BoxshipError => new BoxshipError('invalidArgument', message);

/** JSON from bytes. @throws invalidArgument naming the document */
export function parseJson(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new BoxshipError('invalidArgument', `${what} is not valid JSON`, { cause: error });
  }
}

/** BuildKit's attestation entries of an index describe another entry and are no image of any platform. */
export function isAttestation(descriptor: Descriptor): boolean {
  if (descriptor.annotations?.['vnd.docker.reference.type'] !== undefined) return true;
  return descriptor.platform?.os === 'unknown' && descriptor.platform.architecture === 'unknown';
}
