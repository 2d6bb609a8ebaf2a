/**
 * A descriptor: the typed, sized, verified pointer of which images are made. Parsed from hostile documents, so every field
 * is checked before anyone uses it for a path, a request or a buffer size.
 */
import { BoxshipError } from '@boxship/base';
import { type Digest, digestOf, parseDigest } from './digest.ts';
import type { Platform } from './platform.ts';

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes of the content. */
  readonly size: number;
  readonly urls?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
  readonly artifactType?: string;
  /** The content itself, base64; checked against digest and size by the parser. */
  readonly data?: string;
}

/** @throws invalidArgument naming the field */
export function parseDescriptor(value: unknown, where: string): Descriptor {
  const fields = asRecord(value, where);
  const mediaType = optionalString(fields['mediaType'], `${where}.mediaType`);
  if (mediaType === undefined || mediaType === '') throw invalid(`${where}.mediaType is missing`);
  const digestText = optionalString(fields['digest'], `${where}.digest`);
  if (digestText === undefined) throw invalid(`${where}.digest is missing`);
  const digest = parseDigest(digestText);
  const size = fields['size'];
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw invalid(`${where}.size must be a whole number of bytes, got ${JSON.stringify(size)}`);
  const data = optionalString(fields['data'], `${where}.data`);
  if (data !== undefined) {
    const bytes = Buffer.from(data, 'base64');
    if (bytes.length !== size || digestOf(bytes, digest.startsWith('sha512') ? 'sha512' : 'sha256') !== digest)
      throw invalid(`${where}.data does not match its digest`);
  }
  const urls = fields['urls'] ?? undefined;
  if (urls !== undefined && !(Array.isArray(urls) && urls.every((u) => typeof u === 'string')))
    throw invalid(`${where}.urls must be a list of strings`);
  const annotations = optionalStringMap(fields['annotations'], `${where}.annotations`);
  const artifactType = optionalString(fields['artifactType'], `${where}.artifactType`);
  const platform = fields['platform'] ?? undefined;
  return {
    mediaType,
    digest,
    size,
    ...(urls === undefined ? {} : { urls: urls as string[] }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(platform === undefined ? {} : { platform: parsePlatformField(platform, `${where}.platform`) }),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(data === undefined ? {} : { data }),
  };
}

function parsePlatformField(value: unknown, where: string): Platform {
  const fields = asRecord(value, where);
  const features = fields['os.features'] ?? undefined;
  if (features !== undefined && !(Array.isArray(features) && features.every((f) => typeof f === 'string')))
    throw invalid(`${where}.os.features must be a list of strings`);
  const variant = optionalString(fields['variant'], `${where}.variant`);
  const osVersion = optionalString(fields['os.version'], `${where}.os.version`);
  return {
    os: optionalString(fields['os'], `${where}.os`) ?? '',
    architecture: optionalString(fields['architecture'], `${where}.architecture`) ?? '',
    ...(variant === undefined ? {} : { variant }),
    ...(osVersion === undefined ? {} : { 'os.version': osVersion }),
    ...(features === undefined ? {} : { 'os.features': features as string[] }),
  };
}

const invalid = (message: string): BoxshipError => new BoxshipError('invalidArgument', message);

/** The value as an object. @throws invalidArgument */
export function asRecord(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${where} must be an object`);
  return value as Record<string, unknown>;
}

/** Go writes absent strings as "", null or not at all; all mean absent, except that "" is kept. */
export function optionalString(value: unknown, where: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw invalid(`${where} must be a string`);
  return value;
}

export function optionalStringMap(value: unknown, where: string): Record<string, string> | undefined {
  if (value === undefined || value === null) return undefined;
  const fields = asRecord(value, where);
  for (const [key, text] of Object.entries(fields))
    if (typeof text !== 'string') throw invalid(`${where}[${JSON.stringify(key)}] must be a string`);
  return fields as Record<string, string>;
}
