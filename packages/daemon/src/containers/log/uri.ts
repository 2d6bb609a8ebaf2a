/**
 * Where a process's output goes, as containerd's logging URI: the shim runs (or is) the logger named there, which writes the
 * log file and offers the attach socket. The daemon itself is never in the path of the bytes.
 */
import { BoxshipError, parseSize } from '@boxship/base';
import type { DaemonConfig } from '../../config.ts';
import { containerFiles } from '../files.ts';
import type { ContainerRecord } from '../model.ts';
import { logTag } from './tag.ts';

/** @throws invalidArgument for options of the log driver that cannot be */
export function checkLogOptions(options: Readonly<Record<string, string>>): void {
  const { 'max-size': maxSize, 'max-file': maxFile, compress } = options;
  if (maxSize !== undefined && maxSize !== '-1' && parseSize(maxSize) <= 0)
    throw new BoxshipError('invalidArgument', `max-size must be a positive number: ${maxSize}`);
  if (maxFile !== undefined && !/^[1-9]\d{0,4}$/.test(maxFile))
    throw new BoxshipError('invalidArgument', `max-file must be a positive number: ${maxFile}`);
  if (compress !== undefined && compress !== 'true' && compress !== 'false')
    throw new BoxshipError('invalidArgument', `compress must be true or false: ${compress}`);
}

export function containerLogUri(config: DaemonConfig, record: ContainerRecord): string {
  const { Type: driver, Config: options } = record.hostConfig.LogConfig;
  const parameters = new URLSearchParams({ driver, attach: containerFiles(config, record.id).attachSocket });
  if (driver !== 'none') {
    parameters.set('path', logPath(config, record));
    const { 'max-size': maxSize, 'max-file': maxFile, compress } = options;
    if (maxSize !== undefined && maxSize !== '-1') parameters.set('max-size', String(parseSize(maxSize)));
    if (maxFile !== undefined) parameters.set('max-file', maxFile);
    if (compress !== undefined) parameters.set('compress', compress);
  }
  const attributes = driver === 'json-file' ? logAttributes(record, options) : {};
  if (Object.keys(attributes).length > 0) parameters.set('labels', JSON.stringify(attributes));
  return `binary://${config.loggerPath}?${parameters}`;
}

/** Where the log of a driver that keeps one is. */
export const logPath = (config: DaemonConfig, { id, logPath: jsonPath, hostConfig }: ContainerRecord): string =>
  hostConfig.LogConfig.Type === 'local' ? `${containerFiles(config, id).directory}/local-logs/container.log` : jsonPath;

export function execLogUri(config: DaemonConfig, attachSocket: string): string {
  return `binary://${config.loggerPath}?${new URLSearchParams({ driver: 'none', attach: attachSocket })}`;
}

/** Log options `labels`, `env` and `tag` add fields to each line. */
function logAttributes(record: ContainerRecord, options: Readonly<Record<string, string>>): Record<string, string> {
  const attributes: Record<string, string> = {};
  const wanted = (name: string) => (options[name] ?? '').split(',').filter((item) => item !== '');
  for (const label of wanted('labels')) {
    const value = record.config.Labels[label];
    if (value !== undefined) attributes[label] = value;
  }
  const env = new Map((record.config.Env ?? []).map((entry) => entry.split(/=(.*)/s, 2) as [string, string]));
  for (const name of wanted('env')) {
    const value = env.get(name);
    if (value !== undefined) attributes[name] = value;
  }
  if (options['tag'] !== undefined) attributes['tag'] = logTag(record, options['tag']);
  return attributes;
}
