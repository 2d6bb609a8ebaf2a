/** How the log of a driver is read. */
import type { LogCodec } from './log-entry.ts';
import { jsonLines } from './log-json.ts';
import { localRecords } from './log-local.ts';

const codecs: Readonly<Record<string, LogCodec>> = { 'json-file': jsonLines, local: localRecords };

/** Undefined: the driver cannot be read. */
export const codecOf = (driver: string): LogCodec | undefined => codecs[driver];
