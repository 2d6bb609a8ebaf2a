/** Reads streams of JSON objects, one per line (events, stats, progress). Tolerates `\r\n` and empty lines. */
import type { Readable } from 'node:stream';
import { BoxshipError } from '@boxship/base';

const maxLineBytes = 16 * 1024 * 1024;

export async function* jsonLines<T>(source: Readable): AsyncGenerator<T> {
  let pending = '';
  source.setEncoding('utf8');
  try {
    for await (const chunk of source as AsyncIterable<string>) {
      pending += chunk;
      if (pending.length > maxLineBytes) throw new BoxshipError('resourceExhausted', 'line of the stream is too long');
      for (let end = pending.indexOf('\n'); end >= 0; end = pending.indexOf('\n')) {
        const line = pending.slice(0, end).trim();
        pending = pending.slice(end + 1);
        if (line !== '') yield JSON.parse(line) as T;
      }
    }
    if (pending.trim() !== '') yield JSON.parse(pending) as T;
  } finally {
    source.destroy();
  }
}
