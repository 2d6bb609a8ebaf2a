/** Records of `json-file`: one JSON object a line. A line that is no record (torn by a crash) is left out. */
import type { LogCodec, LogEntry } from './entry.ts';

export const jsonLines: LogCodec = {
  isLineBased: true,
  decode(bytes) {
    const entries: LogEntry[] = [];
    let at = 0;
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, at)) {
      const entry = parseLine(bytes.toString('utf8', at, end));
      if (entry !== undefined) entries.push(entry);
      at = end + 1;
    }
    return { entries, taken: at };
  },
};

function parseLine(text: string): LogEntry | undefined {
  try {
    const { log, time, stream, attrs } = JSON.parse(text) as Record<string, unknown>;
    if (typeof log !== 'string' || typeof time !== 'string') return undefined;
    return {
      line: Buffer.from(log),
      time,
      stream: stream === 'stderr' ? 'stderr' : 'stdout',
      ...(attrs === undefined ? {} : { attrs: attrs as LogEntry['attrs'] & object }),
    };
  } catch {
    return undefined;
  }
}
