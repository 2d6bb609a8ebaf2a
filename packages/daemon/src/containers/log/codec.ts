/** How the log of a driver is read. */
import type { LogCodec } from './entry.ts';
import { jsonLines } from './json-lines.ts';
import { localRecords } from './local-records.ts';

const codecs: Readonly<Record<string, LogCodec>> = { 'json-file': jsonLines, local: localRecords };

/** Undefined: the driver cannot be read. */
export const codecOf = (driver: string): LogCodec | undefined => codecs[driver];
