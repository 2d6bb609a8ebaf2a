/** The writer for a driver; undefined for driver `none`. */
import type { Logger } from '@boxship/base';
import { JsonFormat } from './json-format.ts';
import { LocalFormat } from './local-format.ts';
import { LogFile } from './log-file.ts';
import { LogWriter } from './log-writer.ts';
import type { LoggerOptions } from './logging-uri.ts';
import type { Spool } from './spool.ts';

/** Opens the log, repairs its end, and settles with the spool what a predecessor left. */
export function openLog(options: LoggerOptions, log: Logger, spool?: Spool): LogWriter | undefined {
  if (options.driver === 'none' || options.path === undefined) return undefined;
  const format = options.driver === 'local' ? new LocalFormat() : new JsonFormat(options.attrs);
  const file = new LogFile({
    path: options.path,
    maxSizeBytes: options.maxSizeBytes,
    maxFiles: options.maxFiles,
    isCompressed: options.isCompressed,
    format,
    log,
  });
  spool?.recover(file);
  file.repair();
  return new LogWriter(file, format, log);
}
