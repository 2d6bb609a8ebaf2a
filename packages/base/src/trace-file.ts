/**
 * Writes the spans of this process to a file, one JSON object a line, when `BOXSHIP_TRACE_FILE` names one. All parts of an
 * engine may share the file: lines are appended whole, so that the trace of one request through every part can be read
 * back from it.
 */
import { subscribe } from 'node:diagnostics_channel';
import { openSync, writeSync } from 'node:fs';
import { spanChannelName } from './trace.ts';

/** Call once at the start of a program; does nothing without the variable. */
export function recordSpans(): void {
  const path = process.env['BOXSHIP_TRACE_FILE'];
  if (path === undefined || path === '') return;
  const fd = openSync(path, 'a', 0o600);
  subscribe(spanChannelName, (span) => {
    // one write of less than a page to a file opened for appending is not torn by others
    writeSync(fd, `${JSON.stringify(span)}\n`);
  });
}
