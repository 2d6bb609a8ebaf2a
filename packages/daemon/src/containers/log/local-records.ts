/**
 * Records of Docker's `local` driver: a protobuf message between two copies of its length (32 bits, big-endian).
 *   LogEntry { 1 source, 2 time_nano, 3 line, 4 partial, 5 partial_log_metadata { 1 last, 2 id, 3 ordinal } }
 */
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { formatTimeNs } from '../../clock.ts';
import type { LogCodec, LogEntry } from './entry.ts';

/** Docker's own limit for a record. */
const maxRecordBytes = 1_000_000;

export const localRecords: LogCodec = {
  isLineBased: false,
  decode(bytes) {
    const entries: LogEntry[] = [];
    let at = 0;
    while (at + 4 <= bytes.length) {
      const length = bytes.readUInt32BE(at);
      const end = at + 4 + length;
      // where a record is torn the next one cannot be found: the rest is left out
      if (length > maxRecordBytes) return { entries, taken: bytes.length };
      if (end + 4 > bytes.length) break;
      if (bytes.readUInt32BE(end) !== length) return { entries, taken: bytes.length };
      entries.push(decodeEntry(bytes.subarray(at + 4, end)));
      at = end + 4;
    }
    return { entries, taken: at };
  },
};

function decodeEntry(message: Buffer): LogEntry {
  const reader = new BinaryReader(message);
  let stream: LogEntry['stream'] = 'stdout';
  let timeNs = 0n;
  let line: Uint8Array = Buffer.alloc(0);
  let isPartial = false;
  let isLast = false;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) stream = reader.string() === 'stderr' ? 'stderr' : 'stdout';
    else if (field === 2) timeNs = BigInt(reader.int64());
    else if (field === 3) line = reader.bytes();
    else if (field === 4) isPartial = reader.bool();
    else if (field === 5) isLast = isLastPart(reader.bytes());
    else reader.skip(wireType);
  }
  return {
    stream,
    time: formatTimeNs(timeNs),
    line: Buffer.concat([line, ...(isPartial && !isLast ? [] : [lineFeed])]),
  };
}

const lineFeed = Buffer.from('\n');

function isLastPart(message: Uint8Array): boolean {
  const reader = new BinaryReader(message);
  let isLast = false;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) isLast = reader.bool();
    else reader.skip(wireType);
  }
  return isLast;
}
