/**
 * PAX records, `length SP key = value LF`, on bytes: values hold NULs, newlines and what is no UTF-8 (capabilities), so they
 * are cut by their length and never split. Source: POSIX.1-2001 pax, "pax Extended Header".
 */
import { type ArchiveLimits, malformed, overLimit } from '../limits.ts';

export interface PaxRecord {
  readonly key: string;
  readonly value: Buffer;
}

/** @throws invalidArgument, resourceExhausted */
export function parsePax(bytes: Buffer, limits: ArchiveLimits): PaxRecord[] {
  const records: PaxRecord[] = [];
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(0x20, at);
    const digits = space < 0 || space - at > 10 ? '' : bytes.toString('latin1', at, space);
    if (!/^[1-9][0-9]*$/.test(digits)) {
      if (bytes.subarray(at).every((byte) => byte === 0)) break; // some writers pad inside the member
      throw malformed('invalid PAX record: bad length');
    }
    const length = Number(digits);
    if (length > limits.paxRecordBytes)
      throw overLimit(`PAX record of ${length} bytes; the limit is ${limits.paxRecordBytes}`);
    const end = at + length;
    if (end > bytes.length || end <= space + 1 || bytes[end - 1] !== 0x0a)
      throw malformed('invalid PAX record: length does not fit');
    const equals = bytes.indexOf(0x3d, space + 1);
    if (equals < 0 || equals >= end) throw malformed('invalid PAX record: no key');
    records.push({ key: bytes.toString('latin1', space + 1, equals), value: bytes.subarray(equals + 1, end - 1) });
    at = end;
  }
  return records;
}

/** The bytes of the records, in the order given. */
export function encodePax(records: Iterable<readonly [key: string, value: Uint8Array]>): Buffer {
  const parts: Buffer[] = [];
  for (const [key, value] of records) {
    const body = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), value, Buffer.from('\n')]);
    let length = body.length + String(body.length).length;
    if (String(length).length > String(body.length).length) length = body.length + String(length).length; // the length counts itself
    parts.push(Buffer.from(String(length)), body);
  }
  return Buffer.concat(parts);
}
