/**
 * The image configuration: what to run and the diff ids of the layers. Docker's extensions (Healthcheck, OnBuild, Shell)
 * live in the same object. Unknown fields are kept by keeping the bytes, never by writing a parsed copy back.
 */
import { BoxshipError } from '@boxship/base';
import { asRecord } from './descriptor.ts';
import { type Digest, parseDigest } from './digest.ts';
import { parseJson } from './manifest.ts';
import type { Platform } from './platform.ts';

export const maxImageConfigBytes = 8 * 1024 * 1024;

/** Docker's health check. Durations are nanoseconds; Test is ["NONE"], ["CMD", …] or ["CMD-SHELL", command]. */
export interface HealthcheckConfig {
  readonly Test?: readonly string[];
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

export interface ImageRunConfig {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
  readonly ArgsEscaped?: boolean;
  readonly Healthcheck?: HealthcheckConfig;
  readonly OnBuild?: readonly string[];
  readonly Shell?: readonly string[];
  readonly StopTimeout?: number;
}

export interface HistoryEntry {
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

export interface ImageConfig {
  readonly created?: string;
  readonly author?: string;
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
  readonly 'os.features'?: readonly string[];
  readonly config?: ImageRunConfig;
  readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly Digest[] };
  readonly history?: readonly HistoryEntry[];
  readonly docker_version?: string;
}

/** @throws invalidArgument naming the field */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  if (bytes.length > maxImageConfigBytes)
    throw new BoxshipError(
      'invalidArgument',
      `image config of ${bytes.length} bytes is larger than ${maxImageConfigBytes} bytes`,
    );
  const document = asRecord(parseJson(bytes, 'image config'), 'image config');
  const rootfs = asRecord(document['rootfs'] ?? {}, 'image config: rootfs');
  const diffIds = rootfs['diff_ids'] ?? [];
  if (!Array.isArray(diffIds))
    throw new BoxshipError('invalidArgument', 'image config: rootfs.diff_ids must be a list');
  for (const field of ['architecture', 'os'] as const) {
    if (document[field] !== undefined && typeof document[field] !== 'string')
      throw new BoxshipError('invalidArgument', `image config: ${field} must be a string`);
  }
  const config = document['config'] ?? undefined;
  const history = document['history'] ?? undefined;
  if (history !== undefined && !Array.isArray(history))
    throw new BoxshipError('invalidArgument', 'image config: history must be a list');
  return {
    ...document,
    architecture: (document['architecture'] as string | undefined) ?? '',
    os: (document['os'] as string | undefined) ?? '',
    rootfs: { type: 'layers', diff_ids: diffIds.map((id) => parseDigest(String(id))) },
    ...(config === undefined ? {} : { config: checkRunConfig(config) }),
    ...(history === undefined
      ? {}
      : { history: (history as unknown[]).map((e, i) => asRecord(e, `image config: history[${i}]`)) }),
  };
}

function checkRunConfig(value: unknown): ImageRunConfig {
  const fields = asRecord(value, 'image config: config');
  const cleaned: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(fields)) if (field !== null) cleaned[key] = field; // Go's null slices and maps
  for (const key of ['Env', 'Entrypoint', 'Cmd', 'OnBuild', 'Shell']) {
    const field = cleaned[key];
    if (field !== undefined && !(Array.isArray(field) && field.every((item) => typeof item === 'string')))
      throw new BoxshipError('invalidArgument', `image config: config.${key} must be a list of strings`);
  }
  for (const key of ['User', 'WorkingDir', 'StopSignal']) {
    if (cleaned[key] !== undefined && typeof cleaned[key] !== 'string')
      throw new BoxshipError('invalidArgument', `image config: config.${key} must be a string`);
  }
  for (const key of ['ExposedPorts', 'Volumes', 'Labels']) {
    if (cleaned[key] !== undefined) asRecord(cleaned[key], `image config: config.${key}`);
  }
  return cleaned as ImageRunConfig;
}

export function platformOfConfig(config: ImageConfig): Platform {
  return {
    os: config.os,
    architecture: config.architecture,
    ...(config.variant === undefined || config.variant === '' ? {} : { variant: config.variant }),
    ...(config['os.version'] === undefined ? {} : { 'os.version': config['os.version'] }),
  };
}
